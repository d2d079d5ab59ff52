package pipefold

import (
	"encoding/json"
	"errors"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// open opens a reporter that has a spool and no DX.
func open(t *testing.T, log Log) *Reporter {
	t.Helper()
	reporter, err := Open(map[string]any{"spool": t.TempDir()}, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reporter.Close)
	return reporter
}

func build(id string) Notification {
	return Notification{PipelineName: "build", PipelineSource: "test", ReferenceID: id, StartedAt: Time(time.Unix(1735732800, 5e8))}
}

func TestReceipts(t *testing.T) {
	reporter := open(t, nil)
	receipt, err := reporter.Start(build("1"))
	if err != nil || receipt.ReferenceID != "1" || receipt.StartedAt != "2025-01-01T12:00:00.5Z" || !receipt.OnDisk || receipt.Verdict != "report" {
		t.Errorf("%+v %v", receipt, err)
	}
	step := build("1")
	step.Step, step.Status = "größer", Failure
	if receipt, err = reporter.Step(step); err != nil || receipt.Verdict != "hold" || !receipt.OnDisk {
		t.Errorf("%+v %v", receipt, err)
	}
	end := build("1")
	end.Status, end.Attributes = Success, map[string]string{"team": "payments"}
	if receipt, err = reporter.Finish(end); err != nil || receipt.Delivered || receipt.Why == "" || receipt.Delivery == nil {
		t.Errorf("%+v %v", receipt, err)
	}
	if delivery, err := reporter.Flush(nil); err != nil || delivery.Impossible == "" {
		t.Errorf("%+v %v", delivery, err)
	}
	var merged struct{ Run struct{ Status string } }
	text, err := reporter.Merge([]Notification{build("1"), step, end})
	if err != nil || json.Unmarshal(text, &merged) != nil || merged.Run.Status != "success" {
		t.Errorf("%s %v", text, err)
	}
}

func TestErrors(t *testing.T) {
	reporter := open(t, nil)
	wrong := build("")
	wrong.StartedAt = "yesterday"
	_, refused := reporter.Start(wrong)
	_, options := reporter.Flush(&FlushOptions{Timeout: "soon"})
	_, empty := reporter.Merge(nil)
	_, key := Open(map[string]any{"spool": t.TempDir(), "dx_ulr": "x"}, nil)
	_, form := Open([]int{1}, nil)
	for _, want := range []struct {
		err    error
		status Status
		says   string
	}{
		{refused, Refused, `started_at: "yesterday" is not an ISO 8601`},
		{options, Invalid, "timeout"}, {empty, Refused, ""}, {key, Invalid, "dx_ulr"}, {form, Invalid, "object"},
	} {
		var err *Error
		if !errors.As(want.err, &err) || err.Status != want.status || !strings.Contains(err.Error(), want.says) {
			t.Errorf("%v, expected %s", want.err, want.says)
		}
	}
	if _, err := Open(func() {}, nil); err == nil {
		t.Error("a function is no configuration")
	}
}

// Goroutines report while others collect garbage and one closes the reporter: each call is done or gives ErrClosed.
func TestCloseWhileOthersCall(t *testing.T) {
	var mutex sync.Mutex
	messages := 0
	reporter := open(t, func(Level, string) {
		mutex.Lock()
		defer mutex.Unlock()
		messages++
	})
	var all sync.WaitGroup
	for worker := 0; worker < 16; worker++ {
		all.Add(1)
		go func() {
			defer all.Done()
			for {
				_, err := reporter.Merge([]Notification{build("1"), build("1")})
				if errors.Is(err, ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}()
	}
	for round := 0; round < 20; round++ {
		runtime.GC()
		time.Sleep(5 * time.Millisecond)
	}
	reporter.Close()
	all.Wait()
	reporter.Close()
	if _, err := reporter.Start(build("1")); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: %v", err)
	}
}
