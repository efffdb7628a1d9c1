// Command images makes the container images of the tests ready before they start: it pulls or builds what
// is missing, and removes containers that earlier runs left behind. Where no container engine answers it
// says so in one line, and fails only when WARREN_REQUIRE_DOCKER is 1.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"

	"github.com/warren-mq/warren/internal/docker"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	err := prepare(ctx)
	if errors.Is(err, docker.ErrUnavailable) && os.Getenv("WARREN_REQUIRE_DOCKER") != "1" {
		fmt.Println("tests against real brokers are skipped:", docker.ErrUnavailable)
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "images:", err)
		os.Exit(1)
	}
}

// prepare finds the image of each version under test.
func prepare(ctx context.Context) error {
	if err := docker.Available(ctx); err != nil {
		return err
	}
	if n, err := docker.Sweep(ctx); err != nil {
		return err
	} else if n > 0 {
		fmt.Printf("removed %d containers of earlier runs\n", n)
	}
	for _, version := range docker.Versions {
		image, err := docker.Image(ctx, version, func(line string) { fmt.Println(line) })
		if err != nil {
			return err
		}
		fmt.Printf("RabbitMQ %s: image %s\n", version, image)
	}
	return nil
}
