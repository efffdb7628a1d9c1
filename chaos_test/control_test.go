package chaos

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/moby/moby/client"
)

// stopTimeout is how long a broker may take to end by itself.
const stopTimeout = 20 * time.Second

// Kill ends the broker by SIGKILL, as a crash of its machine would.
func (b *broker) Kill(ctx context.Context) error {
	_, err := b.engine.ContainerKill(ctx, b.id(), client.ContainerKillOptions{Signal: "KILL"})
	return b.failed("kill", err)
}

// Stop ends the broker by SIGTERM, upon which it closes its connections with code 320.
func (b *broker) Stop(ctx context.Context) error {
	seconds := int(stopTimeout / time.Second)
	_, err := b.engine.ContainerStop(ctx, b.id(), client.ContainerStopOptions{Signal: "TERM", Timeout: &seconds})
	return b.failed("stop", err)
}

// Start starts the broker after Kill or Stop, with its data and under its address, and returns at once:
// see WaitReady.
func (b *broker) Start(ctx context.Context) error {
	if _, err := b.engine.ContainerStart(ctx, b.id(), client.ContainerStartOptions{}); err != nil {
		return b.failed("start", err)
	}
	return b.follow(ctx)
}

// Restart is Start and WaitReady.
func (b *broker) Restart(ctx context.Context) error {
	if err := b.Start(ctx); err != nil {
		return err
	}
	return b.WaitReady(ctx)
}

// pauseAttempts is how often the engine may say that it cannot freeze a container: on a busy machine it gives up
// early, and leaves the container running.
const pauseAttempts = 5

// Pause freezes the broker: its connections stay open and silent.
func (b *broker) Pause(ctx context.Context) error {
	var err error
	for range pauseAttempts {
		_, err = b.engine.ContainerPause(ctx, b.id(), client.ContainerPauseOptions{})
		if err == nil || !strings.Contains(err.Error(), "unable to freeze") {
			break
		}
	}
	return b.failed("pause", err)
}

// Unpause ends Pause.
func (b *broker) Unpause(ctx context.Context) error {
	_, err := b.engine.ContainerUnpause(ctx, b.id(), client.ContainerUnpauseOptions{})
	return b.failed("unpause", err)
}

// Ctl runs rabbitmqctl and returns what it printed.
func (b *broker) Ctl(ctx context.Context, args ...string) (string, error) {
	return b.Exec(ctx, append([]string{"rabbitmqctl", "--silent"}, args...)...)
}

func (b *broker) id() string { return b.container.GetContainerID() }

func (b *broker) failed(what string, err error) error {
	if err != nil {
		return fmt.Errorf("%s of broker %s: %w", what, b.name, err)
	}
	return nil
}
