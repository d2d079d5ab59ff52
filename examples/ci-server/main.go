// A small CI server that reports its runs to DX through libpipefold.
//
//	ci-server server.json
//
// See README.md for what it shows, and reports.go for the part about pipefold.
package main

import (
	"context"
	"fmt"
	"log"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// The time for requests that are running when the server stops.
const shutdownTime = 2 * time.Second

func main() {
	log.SetFlags(log.LstdFlags | log.Lmicroseconds)
	if len(os.Args) == 2 && os.Args[1] == "agent" {
		os.Exit(agentMain())
	}
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: ci-server server.json")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		log.Fatal(err)
	}
}

func serve(file string) error {
	// Relative paths in the files of settings start at the directory of these files. The library takes those of pipefold.json from the working
	// directory.
	if err := os.Chdir(filepath.Dir(file)); err != nil {
		return err
	}
	config, err := readConfig(filepath.Base(file))
	if err != nil {
		return err
	}
	pipelines, err := readPipelines(config.Pipelines)
	if err != nil {
		return err
	}
	// A second server on the same journal would cancel the runs of the first.
	lock, err := lockDirectory(config.Data)
	if err != nil {
		return err
	}
	defer lock.Close()
	forget := func(id int64) { _ = os.RemoveAll(filepath.Dir(logFile(config.Data, id, ""))) }
	runs, err := openRuns(filepath.Join(config.Data, "journal"), config.Keep, forget)
	if err != nil {
		return err
	}
	defer runs.close()
	reports, err := openReports(config, runs)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", config.Listen)
	if err != nil {
		return err
	}

	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer cancel()
	scheduler := newScheduler(config, pipelines, runs, reports)
	scheduler.recover()
	reports.background()
	scheduler.start(stop)

	server := newAPI(scheduler)
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	log.Printf("listening on http://%s", listener.Addr())
	select {
	case err = <-failed:
		cancel() // The listener failed. Runs end as when the server is stopped.
	case <-stop.Done():
		cancel() // A second signal ends the server at once.
		log.Print("stopping: jobs that run are cancelled, and runs that wait go on at the next start")
	}

	timed, release := context.WithTimeout(context.Background(), shutdownTime)
	defer release()
	if err := server.Shutdown(timed); err != nil {
		server.Close()
	}
	scheduler.wait()
	reports.close()
	return err
}
