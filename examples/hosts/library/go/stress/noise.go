package main

import (
	"bufio"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// noise makes the runtime use its signals: SIGURG stops goroutines that loop, SIGSEGV finds nil pointers, and others are the program's.
type noise struct {
	stop    chan struct{}
	running sync.WaitGroup

	sent, received, collections, loops int
	recovered                          atomic.Int64
}

func startNoise() *noise {
	noise := &noise{stop: make(chan struct{})}
	for _, make := range []func(){noise.signals, noise.collect, noise.loop} {
		make := make
		noise.running.Add(1)
		go func() {
			defer noise.running.Done()
			make()
		}()
	}
	return noise
}

func (noise *noise) end() {
	close(noise.stop)
	noise.running.Wait()
}

// more waits, and is false at the end.
func (noise *noise) more(pause time.Duration) bool {
	select {
	case <-noise.stop:
		return false
	case <-time.After(pause):
		return true
	}
}

// signals sends signals to this process, each when the one before was received: equal ones that wait are one.
func (noise *noise) signals() {
	kinds := []syscall.Signal{syscall.SIGUSR1, syscall.SIGUSR2, syscall.SIGHUP, syscall.SIGCHLD}
	received := make(chan os.Signal, 1)
	for _, kind := range kinds {
		signal.Notify(received, kind)
	}
	for noise.more(2 * time.Millisecond) {
		kind := kinds[noise.sent%len(kinds)]
		if err := syscall.Kill(syscall.Getpid(), kind); err != nil {
			panic(err)
		}
		noise.sent++
		select {
		case got := <-received:
			if got == kind {
				noise.received++
			}
		case <-time.After(10 * time.Second):
		}
	}
}

// collect stops the world over and over.
func (noise *noise) collect() {
	for ; noise.more(50 * time.Millisecond); noise.collections++ {
		runtime.GC()
	}
}

// loop has no call in which it could be stopped other than by SIGURG.
func (noise *noise) loop() {
	for ; noise.more(20 * time.Millisecond); noise.loops++ {
		for i := 0; i < 10_000_000; i++ {
		}
	}
}

// nilPointer uses a nil pointer, which is a SIGSEGV, and recovers.
func (noise *noise) nilPointer() {
	defer func() {
		if recover() != nil {
			noise.recovered.Add(1)
		}
	}()
	var nothing *target
	nothing.field++
}

type target struct{ field int }

// processStatus is a field of /proc/self/status.
func processStatus(name string) (string, error) {
	file, err := os.Open("/proc/self/status")
	if err != nil {
		return "", err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		if field, value, found := strings.Cut(lines.Text(), ":"); found && field == name {
			return strings.TrimSpace(value), nil
		}
	}
	return "", fmt.Errorf("/proc/self/status has no %s", name)
}

// resident is the resident memory in MiB.
func resident() int64 {
	text, err := processStatus("VmRSS")
	if err != nil {
		panic(err)
	}
	kib, err := strconv.ParseInt(strings.Fields(text)[0], 10, 64)
	if err != nil {
		panic(err)
	}
	return kib >> 10
}
