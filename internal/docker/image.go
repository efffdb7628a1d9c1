package docker

import (
	"bufio"
	"bytes"
	"context"
	_ "embed" // for the build script
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// MainVersion is the RabbitMQ that the demo and most tests run on.
const MainVersion = "4.3"

// Versions are the RabbitMQ versions under test, the main one first.
var Versions = [...]string{MainVersion, "4.0", "3.10"}

// pullTimeout bounds the one attempt to pull the official image.
const pullTimeout = 3 * time.Minute

//go:embed broker-image.sh
var buildScript string

// Image returns the name of an image of RabbitMQ version ("4.3", "4.0", "3.10"), the first found of:
//
//  1. RABBITMQ_IMAGE, whatever its version;
//  2. warren-rabbitmq:VERSION, built here before;
//  3. the official image, present or pulled in one attempt of at most 3 minutes: rabbitmq:4-management for
//     [MainVersion], rabbitmq:VERSION-management for the others;
//  4. warren-rabbitmq:VERSION, built from Debian's packages by the script behind .ci/broker-image, which
//     needs root and Debian and takes about a minute.
//
// The built image comes before the official one, so that a machine that built it once neither asks a
// registry again nor changes the version under test. Progress, which may be nil, receives one line before
// each slow step.
func Image(ctx context.Context, version string, progress func(line string)) (string, error) {
	if progress == nil {
		progress = func(string) {}
	}
	if image := os.Getenv("RABBITMQ_IMAGE"); image != "" {
		return image, nil
	}
	if err := Available(ctx); err != nil {
		return "", err
	}
	built, official := "warren-rabbitmq:"+version, officialImage(version)
	for _, image := range []string{built, official} {
		if present(ctx, image) {
			return image, nil
		}
	}
	pullErr := pull(ctx, official, progress)
	if pullErr == nil {
		return official, nil
	}
	if err := build(ctx, version, progress); err != nil {
		return "", fmt.Errorf("no image of RabbitMQ %s; set RABBITMQ_IMAGE to one you have: %w", version, errors.Join(pullErr, err))
	}
	return built, nil
}

// officialImage returns the tag of the official image that holds version.
func officialImage(version string) string {
	if version == MainVersion {
		return "rabbitmq:4-management"
	}
	return "rabbitmq:" + version + "-management"
}

func present(ctx context.Context, image string) bool {
	_, err := run(ctx, nil, "image", "inspect", "--format", "{{.Id}}", image)
	return err == nil
}

func pull(ctx context.Context, image string, progress func(string)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, pullTimeout, fmt.Errorf("no image after %v", pullTimeout))
	defer cancel()
	progress("pulling " + image)
	_, err := run(ctx, nil, "pull", "--quiet", image)
	return err
}

// build runs the script and passes each line of its output to progress.
func build(ctx context.Context, version string, progress func(string)) error {
	// The script is an argument and not standard input, which its commands would read from.
	cmd := exec.CommandContext(ctx, "sh", "-c", buildScript, "broker-image", version)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) } // the script cleans up on it
	cmd.WaitDelay = 10 * time.Second
	var errOut bytes.Buffer
	output, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, &errOut
	done := make(chan struct{})
	go forwardLines(output, progress, done)
	err := cmd.Run()
	w.Close()
	<-done
	if err != nil {
		return fmt.Errorf("building the image: %w%s", err, lastLine(errOut.String()))
	}
	return nil
}

// forwardLines calls progress for each line of r until it ends, then closes done.
func forwardLines(r io.Reader, progress func(string), done chan<- struct{}) {
	defer close(done)
	for lines := bufio.NewScanner(r); lines.Scan(); {
		progress(lines.Text())
	}
}
