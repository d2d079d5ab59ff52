package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// maxFile is the largest file of settings, in bytes.
const maxFile = 1 << 20

// config holds the settings of the server. Paths are taken from the working directory, which is that of the file: see serve.
type config struct {
	// The name of this server, such as its host name. It is a part of each run's name in DX.
	Name string `json:"name"`
	// The address of the API. The API has no users and no passwords, so let it be one of this machine.
	Listen string `json:"listen"`
	// The address by which people reach the API, for links in DX. May be absent.
	URL string `json:"url"`
	// The directory of the journal, the logs and the workspaces.
	Data string `json:"data"`
	// The file of the pipelines, and the platform team's file for pipefold.
	Pipelines string `json:"pipelines"`
	Pipefold  string `json:"pipefold"`
	// How many jobs and how many runs go on at the same time, and how many runs may wait.
	Agents     int `json:"agents"`
	RunsAtOnce int `json:"runs_at_once"`
	MostQueued int `json:"most_queued"`
	// How many ended runs are kept, with their logs.
	Keep int `json:"keep"`
	// The time between two attempts to send what waits for DX.
	FlushEvery duration `json:"flush_every"`
}

func readConfig(file string) (*config, error) {
	c := &config{
		Listen: "127.0.0.1:8700", Data: "data", Pipelines: "pipelines.json", Pipefold: "pipefold.json",
		Agents: 4, RunsAtOnce: 3, MostQueued: 1000, Keep: 1000, FlushEvery: duration(10 * time.Second),
	}
	if err := readJSON(file, c); err != nil {
		return nil, err
	}
	if !isName(c.Name) {
		return nil, fmt.Errorf("%s: name: %s", file, nameRule)
	}
	for _, number := range []struct {
		key         string
		value, most int
	}{{"agents", c.Agents, 100}, {"runs_at_once", c.RunsAtOnce, 100}, {"most_queued", c.MostQueued, 100_000}, {"keep", c.Keep, 100_000}} {
		if number.value < 1 || number.value > number.most {
			return nil, fmt.Errorf("%s: %s: this has to be a number from 1 to %d", file, number.key, number.most)
		}
	}
	if c.FlushEvery < duration(100*time.Millisecond) {
		return nil, fmt.Errorf("%s: flush_every: this has to be 100ms at least", file)
	}
	if _, err := url.Parse(c.URL); err != nil {
		return nil, fmt.Errorf("%s: url: this is no URL", file)
	}
	// Jobs have other working directories.
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return nil, err
	}
	c.Data = data
	return c, os.MkdirAll(data, 0o700)
}

// readJSON reads a file with one JSON value. A key that the value does not have is an error, as it would be a setting without effect.
func readJSON(file string, into any) error {
	text, err := readFile(file)
	if err != nil {
		return err
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	err = decoder.Decode(into)
	if err == nil {
		if _, end := decoder.Token(); end != io.EOF {
			err = errors.New("there is more after the JSON value")
		}
	}
	if err == nil {
		return nil
	}
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		file = fmt.Sprintf("%s:%d", file, 1+bytes.Count(text[:syntax.Offset], []byte("\n")))
	}
	return fmt.Errorf("%s: %s", file, strings.TrimPrefix(err.Error(), "json: "))
}

func readFile(file string) ([]byte, error) {
	opened, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer opened.Close()
	text, err := io.ReadAll(io.LimitReader(opened, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s: the file has more than %d bytes", file, maxFile)
	}
	return text, err
}

// duration is a time.Duration that JSON has as a text, such as "90s".
type duration time.Duration

func (d *duration) UnmarshalText(text []byte) error {
	parsed, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("%.40q is no duration such as \"90s\"", text)
	}
	*d = duration(parsed)
	return nil
}
