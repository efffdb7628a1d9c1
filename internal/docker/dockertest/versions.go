package dockertest

import (
	"os"
	"strings"

	"github.com/warren-mq/warren/internal/docker"
)

// Versions returns the versions of RabbitMQ on which to test: those in WARREN_VERSIONS, else the main one.
func Versions() []string {
	if versions := strings.Fields(os.Getenv("WARREN_VERSIONS")); len(versions) > 0 {
		return versions
	}
	return []string{docker.MainVersion}
}
