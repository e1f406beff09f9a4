package setting

import (
	"fmt"
	"strings"
)

// Choice is the text of v, one of names in their order.
func Choice[T ~uint8](v T, names ...string) string { return names[v] }

// Choose sets v to the one of names that text is. The error lists them.
func Choose[T ~uint8](v *T, text []byte, names ...string) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	last := len(names) - 1
	return fmt.Errorf("wants %s or %s", strings.Join(names[:last], ", "), names[last])
}
