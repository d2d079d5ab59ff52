package pipefold

// #include <stdint.h>
import "C"

import "runtime/cgo"

// Log takes a message of the library. It may be called by any thread, also by several at once. It must not call the reporter, and a panic in it
// ends the program.
type Log func(level Level, message string)

// Level is the importance of a message.
type Level int32

// The levels, most important first.
const (
	LevelError Level = iota + 1
	LevelWarning
	LevelInfo
	LevelDebug
	LevelTrace
)

func (level Level) String() string {
	switch level {
	case LevelError:
		return "error"
	case LevelWarning:
		return "warning"
	case LevelInfo:
		return "info"
	case LevelDebug:
		return "debug"
	default:
		return "trace"
	}
}

//export pipefoldGoLog
func pipefoldGoLog(log C.uintptr_t, level C.int32_t, message *C.char) {
	// A panic must not go through the frames of the library: they would be left without their ends.
	defer func() {
		if cause := recover(); cause != nil {
			go panic(cause)
			select {}
		}
	}()
	cgo.Handle(log).Value().(Log)(Level(level), C.GoString(message))
}
