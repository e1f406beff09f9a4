package actions

import (
	"fmt"

	"go.uber.org/zap"
)

// guard, deferred, keeps a panic over the message of that subject in it: its caller gets no
// reply, and whoever else asks is served. It would end the process on nats.go's goroutine.
func (s *shared) guard(subject string) {
	if p := recover(); p != nil {
		s.log.Error("request handler panicked", zap.String("cause", fmt.Sprint(p)), zap.String("subject", subject), zap.Stack("stack"))
	}
}
