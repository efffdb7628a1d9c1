package chaos

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/internal/docker"
)

func TestMain(m *testing.M) {
	configureTestcontainers()
	sweep()
	os.Exit(m.Run())
}

// configureTestcontainers sets what testcontainers reads from the environment, unless it is set already.
// Its reaper is an image that machines without a registry cannot pull, so containers are removed by label;
// and beside a local engine it may take the default gateway for the engine's host.
func configureTestcontainers() {
	defaults := map[string]string{"TESTCONTAINERS_RYUK_DISABLED": "true"}
	if host := os.Getenv("DOCKER_HOST"); host == "" || strings.HasPrefix(host, "unix://") {
		defaults["TESTCONTAINERS_HOST_OVERRIDE"] = "127.0.0.1"
	}
	for name, value := range defaults {
		if _, set := os.LookupEnv(name); !set {
			os.Setenv(name, value)
		}
	}
}

// sweep removes what earlier runs left behind, whatever their end.
func sweep() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if docker.Available(ctx) != nil {
		return
	}
	if _, err := docker.Sweep(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
}
