package demo

import (
	"reflect"
	"strings"
	"testing"
)

func TestParseFaults(t *testing.T) {
	for s, want := range map[string]Faults{
		"none":                {},
		"":                    {},
		"kill":                {Kill: 1},
		"kill:2,reset:4,soft": {Kill: 2, Reset: 4, Soft: 1},
		"soft:0":              {Soft: 0},
	} {
		got, err := ParseFaults(s)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"fire", "kill:x", "kill:-1", "kill:1001", "kill,"} {
		if f, err := ParseFaults(s); err == nil {
			t.Errorf("%q is read as %v", s, f)
		}
	}
	if s := (Faults{Soft: 1, Kill: 2, Reset: 0}).String(); s != "kill:2,soft:1" {
		t.Error(s)
	}
	if s := (Faults{}).String(); s != "none" {
		t.Error(s)
	}
}

func TestConfigIsChecked(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"n:":       func(c *Config) { c.N = 0 },
		"size:":    func(c *Config) { c.Size = -1 },
		"queue:":   func(c *Config) { c.Queue = "" },
		"faults:":  func(c *Config) { c.URL = "amqp://localhost" },
		"docker a": func(c *Config) { c.URL, c.Docker = "amqp://localhost", true },
	} {
		c := Defaults()
		change(&c)
		if _, err := Run(t.Context(), c); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("want an error about %q, got %v", want, err)
		}
	}
}

// The same seed gives the same faults, all of them, in order and within the run.
func TestSchedule(t *testing.T) {
	const n = 10_000
	a, b, other := schedule(Defaults().Faults, n, 7), schedule(Defaults().Faults, n, 7), schedule(Defaults().Faults, n, 8)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, other) {
		t.Errorf("seed 7: %v and %v; seed 8: %v", a, b, other)
	}
	count, last := Faults{}, 0
	for _, f := range a {
		if f.at < last || f.at >= n*95/100 {
			t.Errorf("fault at %d after one at %d", f.at, last)
		}
		last = f.at
		count[f.kind]++
	}
	if !reflect.DeepEqual(count, Defaults().Faults) {
		t.Errorf("scheduled %v", count)
	}
}
