package demo

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Config says what to run. The zero value of a field is not its default: see
// [Defaults].
type Config struct {
	URL    string // use this broker; then nobody can kill it
	Docker bool   // run RabbitMQ in a container, not a broker in memory
	N      int    // messages
	Size   int    // bytes of each body
	Faults Faults
	Seed   uint64
	Queue  string // name of the queue, and of the exchange bound to it
	Out    io.Writer
	Bar    bool // a progress bar in place of lines

	drain time.Duration // how long a run that is interrupted waits for what is under way
}

// Defaults is the run that "warren demo" makes without flags.
func Defaults() Config {
	return Config{N: 100_000, Size: 1024, Faults: Faults{Kill: 2, Reset: 4, Soft: 4}, Seed: 1, Queue: "warren.demo", drain: 30 * time.Second}
}

// Faults is how often each fault happens.
type Faults map[Kind]int

// Kind is a kind of fault.
type Kind string

// The kinds of faults.
const (
	Kill  Kind = "kill"  // the broker is ended by SIGKILL and started again
	Reset Kind = "reset" // every TCP connection is reset
	Soft  Kind = "soft"  // the broker closes the publisher's channel over a bad publish
)

var kinds = []Kind{Kill, Reset, Soft}

// ParseFaults reads "kill:2,reset:4,soft:4"; a kind alone is once, "none" is no fault.
func ParseFaults(s string) (Faults, error) {
	f := Faults{}
	if s == "none" || s == "" {
		return f, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		name, count, counted := strings.Cut(part, ":")
		n := 1
		if counted {
			var err error
			if n, err = strconv.Atoi(count); err != nil || n < 0 || n > 1000 {
				return nil, fmt.Errorf("faults: %q: the count must be 0 to 1000", part)
			}
		}
		switch k := Kind(name); k {
		case Kill, Reset, Soft:
			f[k] += n
		default:
			return nil, fmt.Errorf("faults: unknown kind %q; want kill, reset and soft, each with how often, as in kill:2,reset:4, or none", name)
		}
	}
	return f, nil
}

// String returns f as [ParseFaults] reads it.
func (f Faults) String() string {
	var parts []string
	for _, k := range kinds {
		if f[k] > 0 {
			parts = append(parts, fmt.Sprintf("%s:%d", k, f[k]))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ",")
}

func (c *Config) validate() error {
	switch {
	case c.URL != "" && c.Docker:
		return errors.New("docker and url: one broker is enough")
	case c.N < 1 || c.N > 100_000_000:
		return fmt.Errorf("n: %d messages; want 1 to 100 million", c.N)
	case c.Size < 0 || c.Size > 16<<20:
		return fmt.Errorf("size: %d bytes; want 0 to 16 MiB", c.Size)
	case c.Queue == "":
		return errors.New("queue: a name is needed")
	case c.URL != "" && c.Faults[Kill] > 0:
		return errors.New("faults: a broker given by -url cannot be killed; use -faults reset:4,soft:4, or none")
	}
	return nil
}
