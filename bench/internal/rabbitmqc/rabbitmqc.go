// Package rabbitmqc measures rabbitmq-c, where a C compiler and its development package (librabbitmq-dev)
// are installed: the program that uses it is compiled when it is needed.
package rabbitmqc

import (
	"context"
	_ "embed" // for the program
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/bench/internal/job"
)

// Name names the client in reports.
const Name = "rabbitmq-c"

//go:embed program/client.c
var source string

// Client is the compiled program.
type Client struct{ path string }

// Build compiles the program into dir. The error says what is missing.
func Build(ctx context.Context, dir string) (*Client, error) {
	path := filepath.Join(dir, "rabbitmq-c")
	cc := exec.CommandContext(ctx, "cc", "-O2", "-x", "c", "-", "-x", "none", "-o", path, "-lrabbitmq")
	cc.Stdin = strings.NewReader(source)
	out, err := cc.CombinedOutput()
	if err != nil {
		first, _, _ := strings.Cut(string(out), "\n")
		return nil, fmt.Errorf("rabbitmq-c is not measured, install librabbitmq-dev and a C compiler: %w: %s", err, first)
	}
	return &Client{path}, nil
}

// Does says whether it does jobs of this kind.
func (c *Client) Does(j job.Job) bool {
	return c != nil && (j.Kind == job.Publish || j.Kind == job.Consume) && j.Channels <= 1 && j.Goroutines <= 1 && !j.Slow
}

// Run does a job in a process of its own.
func (c *Client) Run(ctx context.Context, j job.Job) (job.Result, error) {
	host, port, err := net.SplitHostPort(j.Addr)
	if err != nil {
		return job.Result{}, err
	}
	persistent := "0"
	if j.Persistent {
		persistent = "1"
	}
	out, err := exec.CommandContext(ctx, c.path, string(j.Kind), host, port, j.Queue, strconv.Itoa(j.Size),
		strconv.Itoa(j.Prefetch), fmt.Sprint(j.Duration.Seconds()), persistent, fmt.Sprint(j.Messages)).Output()
	if err != nil {
		return job.Result{}, err
	}
	var r job.Result
	return r, json.Unmarshal(out, &r)
}
