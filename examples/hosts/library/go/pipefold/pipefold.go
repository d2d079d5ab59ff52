// Package pipefold reports runs of CI pipelines to DX, through the C library libpipefold.
//
// A [Reporter] records each notification on disk before the call returns, and sends what is recorded to DX. Its methods may be used by any
// number of goroutines at once.
//
// The linker looks for libpipefold.so and pipefold.h in the system's directories. For others, set CGO_CFLAGS=-I… and CGO_LDFLAGS=-L….
package pipefold

/*
#cgo LDFLAGS: -lpipefold
#include <stdlib.h>
#include <pipefold.h>

// In log.c. The log is a cgo.Handle, which is a number: as a pointer it would fail Go's checks.
pipefold_status pipefold_go_open(const char *config, size_t length, uintptr_t log, pipefold_reporter **reporter, char **answer);
*/
import "C"

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/cgo"
	"sync"
	"unsafe"
)

// WantABI is the number of the interface that this package was compiled for.
const WantABI = C.PIPEFOLD_ABI

// ErrClosed is the error of a call after [Reporter.Close].
var ErrClosed = errors.New("pipefold: the reporter is closed")

// ABI gives the number of the interface of the library that is loaded.
func ABI() int { return int(C.pipefold_abi()) }

// Version gives the version of the library that is loaded, such as "0.2.0".
func Version() string { return C.GoString(C.pipefold_version()) }

// Check gives an error if the loaded library has another interface than the one that this package was compiled for.
func Check() error {
	if abi := ABI(); abi != WantABI {
		return fmt.Errorf("pipefold: the library that is loaded is %s with interface %d, and this program needs interface %d: "+
			"install a libpipefold.so.%d", Version(), abi, WantABI, WantABI)
	}
	return nil
}

// Reporter reports runs to DX.
type Reporter struct {
	// Held for reading by calls and for writing by Close: no call may be running then.
	open     sync.RWMutex
	reporter *C.pipefold_reporter
	log      cgo.Handle
}

// Open makes a reporter. The configuration is anything that encoding/json makes an object of: the keys of pipefold.toml, and `token`. With nil
// it is read from the environment and from files, as the command `pipefold` does. The function for logs may be nil.
func Open(config any, log Log) (*Reporter, error) {
	if err := Check(); err != nil {
		return nil, err
	}
	var text []byte
	if config != nil {
		var err error
		if text, err = json.Marshal(config); err != nil {
			return nil, fmt.Errorf("pipefold: the configuration: %w", err)
		}
	}
	reporter := new(Reporter)
	if log != nil {
		reporter.log = cgo.NewHandle(log)
	}
	var opened *C.pipefold_reporter
	var answer *C.char
	status := C.pipefold_go_open(start(text), C.size_t(len(text)), C.uintptr_t(reporter.log), &opened, &answer)
	if _, err := take(status, answer); err != nil {
		reporter.freeLog()
		return nil, err
	}
	reporter.reporter = opened
	return reporter, nil
}

// Start reports the start of a run: records it, and sends it within the budget for starts.
func (reporter *Reporter) Start(run Notification) (*Receipt, error) {
	return receipt(reporter.call(run, func(text *C.char, length C.size_t, answer **C.char) C.pipefold_status {
		return C.pipefold_start(reporter.reporter, text, length, answer)
	}))
}

// Step reports a step of a run, its start or its end: records it, to be sent with the run's end. An urgent one is sent within the budget for
// starts.
func (reporter *Reporter) Step(step Notification) (*Receipt, error) {
	return receipt(reporter.call(step, func(text *C.char, length C.size_t, answer **C.char) C.pipefold_status {
		return C.pipefold_step(reporter.reporter, text, length, answer)
	}))
}

// Finish reports the end of a run: records it, and sends the whole run within the budget for ends.
func (reporter *Reporter) Finish(run Notification) (*Receipt, error) {
	return receipt(reporter.call(run, func(text *C.char, length C.size_t, answer **C.char) C.pipefold_status {
		return C.pipefold_finish(reporter.reporter, text, length, answer)
	}))
}

// Flush sends what waits on the disk. The options may be nil.
func (reporter *Reporter) Flush(options *FlushOptions) (*Delivery, error) {
	var config any
	if options != nil {
		config = options
	}
	text, err := reporter.call(config, func(text *C.char, length C.size_t, answer **C.char) C.pipefold_status {
		return C.pipefold_flush(reporter.reporter, text, length, answer)
	})
	if err != nil {
		return nil, err
	}
	return decode(new(Delivery), text)
}

// Merge folds the notifications of one run by DX's rule, and gives the run and its jobs as JSON. It records and sends nothing.
func (reporter *Reporter) Merge(history []Notification) (json.RawMessage, error) {
	if history == nil {
		history = []Notification{}
	}
	return reporter.call(history, func(text *C.char, length C.size_t, answer **C.char) C.pipefold_status {
		return C.pipefold_merge(reporter.reporter, text, length, answer)
	})
}

// Close waits for the calls that are running and frees the reporter. What was not sent stays on the disk.
func (reporter *Reporter) Close() {
	reporter.open.Lock()
	defer reporter.open.Unlock()
	C.pipefold_close(reporter.reporter)
	reporter.reporter = nil
	reporter.freeLog()
}

func (reporter *Reporter) freeLog() {
	if reporter.log != 0 {
		reporter.log.Delete()
		reporter.log = 0
	}
}

// call asks the library with a value as JSON; nil is no text at all.
func (reporter *Reporter) call(value any, ask func(text *C.char, length C.size_t, answer **C.char) C.pipefold_status) ([]byte, error) {
	var text []byte
	if value != nil {
		var err error
		if text, err = json.Marshal(value); err != nil {
			return nil, fmt.Errorf("pipefold: %w", err)
		}
	}
	reporter.open.RLock()
	defer reporter.open.RUnlock()
	if reporter.reporter == nil {
		return nil, ErrClosed
	}
	var answer *C.char
	status := ask(start(text), C.size_t(len(text)), &answer)
	return take(status, answer)
}

// start points to the first byte. The library reads the text during the call alone, so it may be in Go's memory.
func start(text []byte) *C.char {
	if len(text) == 0 {
		return nil
	}
	return (*C.char)(unsafe.Pointer(&text[0]))
}

// take copies the answer of the library and frees it.
func take(status C.pipefold_status, answer *C.char) ([]byte, error) {
	defer C.pipefold_free(answer) // It takes NULL too.
	var text []byte
	if answer != nil {
		text = []byte(C.GoString(answer))
	}
	if status != C.PIPEFOLD_OK {
		return nil, failure(Status(status), text)
	}
	return text, nil
}

func receipt(text []byte, err error) (*Receipt, error) {
	if err != nil {
		return nil, err
	}
	return decode(new(Receipt), text)
}

func decode[T any](into *T, text []byte) (*T, error) {
	if err := json.Unmarshal(text, into); err != nil {
		return nil, fmt.Errorf("pipefold: the library's answer: %w", err)
	}
	return into, nil
}
