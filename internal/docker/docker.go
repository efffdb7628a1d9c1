// Package docker runs RabbitMQ brokers in containers, for the demo and for tests. It drives the container
// engine through its command line, so the module needs no container library, and publishes every port on
// 127.0.0.1 alone. The docker command finds its engine as usual (DOCKER_HOST, contexts).
package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"strings"
	"time"
)

// ErrUnavailable says that no container engine answers: the docker command is missing, or its engine is.
var ErrUnavailable = errors.New("no container engine answers; install docker or start its engine")

// Available returns nil where a container engine answers within 10 s, else an error that wraps
// [ErrUnavailable].
func Available(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := run(ctx, nil, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	return nil
}

// run returns what a docker command wrote on standard output, trimmed. The error of a failed command ends
// with the last line of its standard error.
func run(ctx context.Context, stdin io.Reader, args ...string) (string, error) {
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, &out, &errOut
	cmd.WaitDelay = 2 * time.Second
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return strings.TrimSpace(out.String()), fmt.Errorf("docker %s: %w%s", args[0], err, lastLine(errOut.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// runMerged returns what a docker command wrote on both its outputs.
func runMerged(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "docker", args...)
	cmd.WaitDelay = 2 * time.Second
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("docker %s: %w", args[0], err)
	}
	return string(out), err
}

// lastLine returns the last line of s behind a colon, or nothing.
func lastLine(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return ""
	}
	return ": " + s[strings.LastIndexByte(s, '\n')+1:]
}
