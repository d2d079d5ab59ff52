// A host in Go, without cgo: asks the core module in wazero.
//
//	go run . core.wasm notifications.jsonl
//
// Prints what each hook says, one JSON object a line, as `pipefold hook` does.
package main

import (
	"bytes"
	"context"
	"fmt"
	"log"
	"os"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Rules asks the core module. It may be used by many goroutines at a time, since each call has an instance of its own.
type Rules struct {
	runtime wazero.Runtime
	module  wazero.CompiledModule
}

// NewRules compiles the module, once for all calls.
func NewRules(ctx context.Context, wasm []byte) (*Rules, error) {
	// With this, a call ends when its context does.
	runtime := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCloseOnContextDone(true))
	module, err := runtime.CompileModule(ctx, wasm)
	if err != nil {
		return nil, err
	}
	return &Rules{runtime, module}, nil
}

// Ask gives the code and the JSON of an answer. An error is a fault of the module or the end of the context, never of the notifications.
func (rules *Rules) Ask(ctx context.Context, hook string, json []byte) (code uint32, answer []byte, err error) {
	// Without a name, so that there may be many. It imports nothing.
	instance, err := rules.runtime.InstantiateModule(ctx, rules.module, wazero.NewModuleConfig().WithName(""))
	if err != nil {
		return 0, nil, err
	}
	defer instance.Close(ctx)
	call := func(name string, arguments ...uint64) uint32 {
		if err != nil {
			return 0
		}
		var results []uint64
		if results, err = instance.ExportedFunction(name).Call(ctx, arguments...); err != nil {
			return 0
		}
		return api.DecodeU32(results[0])
	}

	if version := call("abi_version"); err == nil && version != 1 {
		return 0, nil, fmt.Errorf("the module has version %d of the ABI, and this host knows version 1", version)
	}
	place := call("input", uint64(len(json)))
	if err == nil && (place == 0 || !instance.Memory().Write(place, json)) {
		return 0, nil, fmt.Errorf("the input has %d bytes, more than the module takes", len(json))
	}
	code = call(hook)
	place, length := call("output"), call("output_length")
	if err != nil {
		return 0, nil, err
	}
	output, ok := instance.Memory().Read(place, length)
	if !ok {
		return 0, nil, fmt.Errorf("the output is outside of the memory")
	}
	// What Read gives is the instance's memory.
	return code, bytes.Clone(output), nil
}

func main() {
	ctx := context.Background()
	wasm, err := os.ReadFile(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	notifications, err := os.ReadFile(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	rules, err := NewRules(ctx, wasm)
	if err != nil {
		log.Fatal(err)
	}
	defer rules.runtime.Close(ctx)

	lines := bytes.Split(bytes.TrimSpace(notifications), []byte("\n"))
	history := append(append([]byte("["), bytes.Join(lines, []byte(","))...), ']')
	for _, asked := range []struct {
		hook string
		json []byte
	}{{"start", lines[0]}, {"step", lines[1]}, {"finish", history}, {"merge", history}} {
		// 0: a verdict. 1: not JSON of this form. 2: refused, and the answer lists the violations.
		code, answer, err := rules.Ask(ctx, asked.hook, asked.json)
		if err != nil || code != 0 {
			log.Fatalf("%s: code %d: %s %v", asked.hook, code, answer, err)
		}
		fmt.Printf("%s\n", answer)
	}
}
