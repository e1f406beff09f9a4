package bridge

import (
	"fmt"
	"strings"
)

func choice[T ~uint8](v T, names ...string) string { return names[v] }

func choose[T ~uint8](v *T, text []byte, names ...string) error {
	for i, name := range names {
		if name == string(text) {
			*v = T(i)
			return nil
		}
	}
	return fmt.Errorf("wants %s", strings.Join(names, ", "))
}
