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

// A mistake in the faults names all that could be meant, none too.
func TestFaultsNameWhatIsKnown(t *testing.T) {
	_, err := ParseFaults("off")
	for _, want := range []string{`"off"`, "kill", "reset", "soft", "kill:2", "none"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want %s in it", err, want)
		}
	}
}

// The same seed gives the same faults, all of them, each within its own equal
// part of the run wherever in its range it strikes.
func TestSchedule(t *testing.T) {
	a, b, other := schedule(Defaults().Faults, 10_000, 7), schedule(Defaults().Faults, 10_000, 7), schedule(Defaults().Faults, 10_000, 8)
	if !reflect.DeepEqual(a, b) || reflect.DeepEqual(a, other) {
		t.Errorf("seed 7: %v and %v; seed 8: %v", a, b, other)
	}
	for _, faults := range []Faults{{}, {Reset: 1}, Defaults().Faults, {Kill: 3, Soft: 30}, {Soft: 1000}} {
		for _, n := range []int{1, 7, 10, 999, 10_000, 100_000_000} {
			for seed := range uint64(20) {
				all := schedule(faults, n, seed)
				count := Faults{}
				for i, f := range all {
					count[f.kind]++
					from, to := n*i/len(all), n*(i+1)/len(all)
					if f.at < from || f.latest < f.at || f.latest > to || f.at >= n {
						t.Errorf("%v, n %d, seed %d: fault %d strikes at %d to %d, want within %d to %d", faults, n, seed, i, f.at, f.latest, from, to)
					}
				}
				if count.String() != faults.String() {
					t.Errorf("want %v, scheduled %v", faults, count)
				}
			}
		}
	}
}
