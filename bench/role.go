package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/warren-mq/warren/bench/internal/client"
	"github.com/warren-mq/warren/bench/internal/job"
	"github.com/warren-mq/warren/bench/internal/nullbroker"
)

// The program starts itself for the processes of a measurement, with one of these as its only argument.
const (
	roleClient = "client" // does the job on its standard input and prints the result
	roleBroker = "broker" // prints its address, and serves until its standard input ends
)

// clientGrace is what a client may take beyond its job's duration: a slow broker takes its time for what sockets
// and proxies have buffered.
const clientGrace = 3 * time.Minute

// recoverLimit is what a client may take for all its recoveries, and for declaring 50,000 entities before.
const recoverLimit = hundredBudget + 4*time.Minute

// profileEnv names a file to which a client of Warren writes a CPU profile.
const profileEnv = "WARREN_BENCH_PROFILE"

// runRole does what the argument says, if it says anything of this kind.
func runRole(ctx context.Context, args []string) (is bool, err error) {
	if len(args) != 1 {
		return false, nil
	}
	switch args[0] {
	case roleClient:
		return true, runClient(ctx)
	case roleBroker:
		return true, runBroker(ctx)
	}
	return false, nil
}

func runClient(ctx context.Context) error {
	var j job.Job
	if err := json.NewDecoder(os.Stdin).Decode(&j); err != nil {
		return err
	}
	stop, err := profile(j)
	if err != nil {
		return err
	}
	r, err := client.Run(ctx, j)
	stop()
	if err != nil {
		r.Err = err.Error()
	}
	return json.NewEncoder(os.Stdout).Encode(r)
}

func profile(j job.Job) (stop func(), err error) {
	name := os.Getenv(profileEnv)
	if name == "" || j.Client != client.Warren {
		return func() {}, nil
	}
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	return pprof.StopCPUProfile, pprof.StartCPUProfile(f)
}

func runBroker(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s, err := nullbroker.Listen(ctx)
	if err != nil {
		return err
	}
	fmt.Println(s.Addr())
	_, err = io.Copy(io.Discard, os.Stdin)
	cancel()
	s.Wait()
	return err
}

// startClient does a job in a process of its own.
func startClient(ctx context.Context, j job.Job) (job.Result, error) {
	limit := j.Duration + clientGrace
	if j.Kind == job.Recover || j.Kind == job.Return {
		limit = recoverLimit
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	in, err := json.Marshal(j)
	if err != nil {
		return job.Result{}, err
	}
	cmd, err := self(ctx, roleClient)
	if err != nil {
		return job.Result{}, err
	}
	cmd.Stdin = strings.NewReader(string(in))
	out, err := cmd.Output()
	if err != nil {
		return job.Result{}, err
	}
	var r job.Result
	return r, json.Unmarshal(out, &r)
}

// startBroker starts a null broker in a process of its own, which ends with stop.
func startBroker(ctx context.Context) (addr string, stop func(), err error) {
	cmd, err := self(ctx, roleBroker)
	if err != nil {
		return "", nil, err
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		return "", nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", nil, err
	}
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	stop = func() {
		_ = in.Close()
		_ = cmd.Wait()
	}
	if _, err := fmt.Fscanln(out, &addr); err != nil {
		stop()
		return "", nil, fmt.Errorf("null broker: %w", err)
	}
	return addr, stop, nil
}

func self(ctx context.Context, role string) (*exec.Cmd, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, path, role)
	cmd.Stderr = os.Stderr
	return cmd, nil
}
