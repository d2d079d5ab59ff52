// Calls libpipefold from many threads of a Go program behind a policy that misbehaves, while the runtime is made to use its signals and to collect
// garbage.
//
//	stress policy.wasm spool calls
//
// Prints numbers, and ends with 1 if a call had another result than it must have, a signal was lost, or memory grew.
package main

import (
	"fmt"
	"io"
	"log"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"example.com/pipefold"
)

const (
	threads = 16
	// Of resident memory, after the first tenth of the calls.
	mostGrowth = 64 // MiB
)

func main() {
	calls, err := strconv.ParseInt(os.Args[3], 10, 64)
	if err != nil {
		log.Fatal(err)
	}
	if err := run(os.Args[1], os.Args[2], calls); err != nil {
		log.Fatal("FAILED: ", err)
	}
}

func run(policy, spool string, calls int64) error {
	// A thread for each call: Go starts them as they are needed, since a call of C keeps its own.
	runtime.GOMAXPROCS(threads)
	noise := startNoise()
	// The profiler has a signal of its own, SIGPROF, a hundred times a second.
	if err := pprof.StartCPUProfile(io.Discard); err != nil {
		return err
	}
	defer pprof.StopCPUProfile()
	signals, err := processStatus("SigCgt")
	if err != nil {
		return err
	}

	var messages atomic.Int64
	// The same policy twice: its failures are passed over at first, with a message of the log, and then they count.
	config := map[string]any{"spool": spool, "policy": []map[string]string{
		{"name": "open", "file": policy, "failure": "open"},
		{"name": "closed", "file": policy},
	}}
	reporter, err := pipefold.Open(config, func(pipefold.Level, string) { messages.Add(1) })
	if err != nil {
		return err
	}
	defer reporter.Close()
	fmt.Printf("%s, libpipefold %s, %d calls from %d threads\n", runtime.Version(), pipefold.Version(), calls, threads)

	began := time.Now()
	var done atomic.Int64
	var workers sync.WaitGroup
	failed := make(chan error, threads)
	for thread := int64(0); thread < threads; thread++ {
		workers.Add(1)
		go func(first int64) {
			defer workers.Done()
			for number := first; number < calls; number += threads {
				if err := call(reporter, number); err != nil {
					failed <- fmt.Errorf("call %d: %w", number, err)
					return
				}
				noise.nilPointer()
				done.Add(1)
			}
		}(thread)
	}
	memory := watch(&done, calls, func() bool { return len(failed) > 0 })
	workers.Wait()
	close(failed)
	if err := <-failed; err != nil {
		return err
	}
	took := time.Since(began)
	memory = append(memory, resident())
	noise.end()

	fmt.Printf("%d calls in %.1f s, %d judged late, %d messages of the log, %d collections of garbage\n",
		done.Load(), took.Seconds(), late.Load(), messages.Load(), noise.collections)
	fmt.Printf("signals: %d sent, %d received; nil pointers: %d used, %d recovered; loops that were preempted: %d\n",
		noise.sent, noise.received, calls, noise.recovered.Load(), noise.loops)
	fmt.Println("resident memory in MiB, at each tenth of the calls:", memory)
	if now, err := processStatus("SigCgt"); err != nil || now != signals {
		return fmt.Errorf("handled signals were %s before, and are %s: %w", signals, now, err)
	}
	switch growth := memory[len(memory)-1] - memory[0]; {
	case noise.sent != noise.received || noise.sent == 0:
		return fmt.Errorf("%d signals were lost", noise.sent-noise.received)
	case noise.recovered.Load() != calls:
		return fmt.Errorf("%d nil pointers were not found", calls-noise.recovered.Load())
	case late.Load() > calls/100:
		return fmt.Errorf("%d good notifications were not judged in time", late.Load())
	case growth > mostGrowth:
		return fmt.Errorf("memory grew by %d MiB", growth)
	}
	return nil
}

// watch measures the memory at each tenth of the calls but the last.
func watch(done *atomic.Int64, calls int64, stop func() bool) (memory []int64) {
	for tenth := int64(1); tenth < 10; tenth++ {
		for done.Load() < calls*tenth/10 && !stop() {
			time.Sleep(5 * time.Millisecond)
		}
		memory = append(memory, resident())
	}
	return memory
}
