package pipefold

// #include <stdint.h>
import "C"

import "runtime/cgo"

// Log receives a message of the library, at the end of the call that it belongs to; several goroutines may call it at once. It must not call the
// reporter. A panic in it ends the program.
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
	// A panic must not unwind the frames of the library, which Go skips: locks in them would stay locked.
	defer func() {
		if cause := recover(); cause != nil {
			go panic(cause)
			select {}
		}
	}()
	cgo.Handle(log).Value().(Log)(Level(level), C.GoString(message))
}
