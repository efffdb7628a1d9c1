package brokertest

import (
	"context"
	"flag"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/docker"
	"github.com/warren-mq/warren/internal/docker/dockertest"
)

var update = flag.Bool("update", false, "write what RabbitMQ answers into the scenarios")

// TestScenarios plays the scenarios on the broker of this package as each version of RabbitMQ, in fake time.
func TestScenarios(t *testing.T) {
	if *update {
		t.Skip("what RabbitMQ answers is being written down")
	}
	for _, version := range docker.Versions {
		t.Run(version, func(t *testing.T) {
			compare(t, version, readConformance(t), func(t *testing.T, s *scenario) (got [][]string) {
				synctest.Test(t, func(t *testing.T) {
					b := New(t, WithVersion(version), WithUser("limited", "limited"))
					b.SetPermissions("limited", "/", "^mine", "^mine", "^mine")
					p := newTalk(t, b).player
					var err error
					if got, err = p.play(s); err != nil {
						t.Fatal(err)
					}
				})
				return got
			})
		})
	}
}

// TestScenariosOnRabbitMQ plays the scenarios on RabbitMQ in a container, of each of WARREN_VERSIONS, several
// at a time in virtual hosts of their own; or on the broker that WARREN_CONFORMANCE_URL names, whose path may
// list virtual hosts with commas in between. They must hold nothing else, and a user limited, with that password,
// may there configure, write to and read from ^mine. What RabbitMQ answers is what a scenario has to say: -update
// writes it down. Scenarios of other versions are left out.
func TestScenariosOnRabbitMQ(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	versions := strings.Fields(os.Getenv("WARREN_VERSIONS"))
	if len(versions) == 0 {
		versions = []string{docker.MainVersion}
	}
	for _, version := range versions {
		t.Run(version, func(t *testing.T) { playOnRabbitMQ(t, version) })
	}
}

func playOnRabbitMQ(t *testing.T, version string) {
	target, vhosts, ctl := rabbitMQ(t, version)
	version = versionOf(t, target.Host)
	files := readConformance(t)
	work := make(chan *scenario)
	results := make(chan outcome)
	for _, vhost := range vhosts {
		go runScenarios(t, target, vhost, work, results)
	}
	wanted := 0
	for _, f := range files {
		for _, s := range f.scenarios {
			if s.of(version) {
				wanted++
			}
		}
	}
	go func() {
		defer close(work)
		for _, f := range files {
			for _, s := range f.scenarios {
				if s.of(version) {
					work <- s
				}
			}
		}
	}()
	played := map[*scenario]outcome{}
	for range wanted {
		o := <-results
		played[o.scenario] = o
	}
	compare(t, version, files, func(t *testing.T, s *scenario) [][]string {
		o := played[s]
		if o.err != nil {
			t.Error(o.err)
			return nil
		}
		return o.got
	})
	t.Run("quorum queue without prefetch", func(t *testing.T) {
		p := newPlayer(t, target, vhosts[0])
		defer p.hangup()
		quorumPrefetch(t, talk{p}.say)
		if err := p.undo(); err != nil {
			t.Error(err)
		}
	})
	if ctl == nil {
		return
	}
	t.Run("topic permissions", func(t *testing.T) {
		p := newPlayer(t, target, vhosts[0])
		defer p.hangup()
		ctl(t, `rabbit_auth_backend_internal:set_topic_permissions(<<"guest">>, <<"`+vhosts[0]+`">>, <<"amq.topic">>, `+
			`<<"^a\\.">>, <<"\\.b$">>, <<"t">>).`)
		topicPermissions(t, version, talk{p}.say)
		if err := p.undo(); err != nil {
			t.Error(err)
		}
	})
	t.Run("ack timeout", func(t *testing.T) {
		if !releaseOf(version).before(4, 3) {
			return // quorum queues have scenarios of it, others no timeout
		}
		// It looks at each tick, and closes the channel at each until it is answered.
		ctl(t, "application:set_env(rabbit, channel_tick_interval, 5000), application:set_env(rabbit, consumer_timeout, 1000).")
		p := newPlayer(t, target, vhosts[0])
		defer p.hangup()
		ackTimeout(t, talk{p}.say)
		if err := p.undo(); err != nil {
			t.Error(err)
		}
	})
	t.Run("block", func(t *testing.T) {
		p := newPlayer(t, target, vhosts[0])
		defer p.hangup()
		const alarm = "({{resource_limit, memory, node()}, []})."
		block(t, talk{p}.say, func() { ctl(t, "rabbit_alarm:set_alarm"+alarm) },
			func() { ctl(t, "rabbit_alarm:clear_alarm({resource_limit, memory, node()}).") })
	})
}

// newPlayer returns a player on a RabbitMQ.
func newPlayer(t *testing.T, target *url.URL, vhost string) *player {
	p := newTalk(t, nil).player
	p.dial = func() (net.Conn, error) { return net.Dial("tcp", target.Host) }
	password, _ := target.User.Password()
	p.login = [2]string{target.User.Username(), password}
	p.vhost = vhost
	p.settle = settleByTime
	return p
}

// outcome is what came of a scenario.
type outcome struct {
	scenario *scenario
	got      [][]string
	err      error
}

// runScenarios plays scenarios in one virtual host.
func runScenarios(t *testing.T, target *url.URL, vhost string, work <-chan *scenario, results chan<- outcome) {
	for s := range work {
		o := playOne(t, target, vhost, s, 1)
		for _, longer := range []time.Duration{5, 5, 10} { // whether a stream's last segment goes is settled by a race of the broker's own
			if *update || s.agrees(o) {
				break
			}
			t.Logf("%s: played again with more time: %v", s.title, o.err)
			o = playOne(t, target, vhost, s, longer)
		}
		results <- o
	}
}

// playOne plays a scenario with all its times made longer: what RabbitMQ does on its own, such as dead
// lettering, takes its time on a busy machine.
func playOne(t *testing.T, target *url.URL, vhost string, s *scenario, longer time.Duration) outcome {
	p := newPlayer(t, target, vhost)
	p.longer = longer
	got, err := p.play(s)
	if undone := p.undo(); err == nil {
		err = undone
	}
	return outcome{s, got, err}
}

// agrees reports whether a scenario came out as it says.
func (s *scenario) agrees(o outcome) bool {
	return o.err == nil && slices.EqualFunc(o.got, s.wants(), slices.Equal)
}

// rabbitMQ returns where a RabbitMQ is, the virtual hosts to use there, and, of a broker in a container, how
// to have it evaluate an expression.
func rabbitMQ(t *testing.T, version string) (target *url.URL, vhosts []string, ctl func(t *testing.T, expression string)) {
	address := os.Getenv("WARREN_CONFORMANCE_URL")
	if address == "" {
		b := dockertest.Run(t, version, docker.Options{})
		address = b.URL() + "v0,v1,v2,v3,v4,v5,v6,v7"
		ctl = func(t *testing.T, expression string) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			if _, err := b.Exec(ctx, "rabbitmqctl", "eval", expression); err != nil {
				t.Fatal(err)
			}
		}
		ctl(t, `rabbit_auth_backend_internal:add_user(<<"limited">>, <<"limited">>, <<"t">>), `+ // one command: each takes seconds
			`[begin V = <<"v", I>>, rabbit_vhost:add(V, <<"t">>), `+
			`rabbit_auth_backend_internal:set_permissions(<<"guest">>, V, <<".*">>, <<".*">>, <<".*">>, <<"t">>), `+
			`rabbit_auth_backend_internal:set_permissions(<<"limited">>, V, <<"^mine">>, <<"^mine">>, <<"^mine">>, <<"t">>) `+
			`end || I <- "01234567"].`)
	}
	target, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	vhosts = []string{"/"}
	if path := strings.TrimPrefix(target.Path, "/"); path != "" {
		vhosts = strings.Split(path, ",")
	}
	return target, vhosts, ctl
}

// versionOf asks a broker for its version.
func versionOf(t *testing.T, addr string) string {
	p := newTalk(t, nil)
	p.dial = func() (net.Conn, error) { return net.Dial("tcp", addr) }
	defer p.hangup()
	if err := p.connect("a"); err != nil {
		t.Fatal(err)
	}
	if err := p.clients["a"].write([]byte(wire.ProtocolHeader)); err != nil {
		t.Fatal(err)
	}
	m, err := p.await("a", 0)
	if err != nil {
		t.Fatal(err)
	}
	version, _ := m.(*wire.ConnectionStart).ServerProperties["version"].(string)
	return version
}

// conformanceFile is a file of scenarios.
type conformanceFile struct {
	path, preamble string
	scenarios      []*scenario
}

func readConformance(t *testing.T) (files []conformanceFile) {
	paths, err := filepath.Glob("testdata/conformance/*.txt")
	if err != nil || len(paths) == 0 {
		t.Fatalf("no scenarios: %v", err)
	}
	for _, path := range paths {
		f := conformanceFile{path: path}
		f.preamble, f.scenarios = readScenarios(t, path)
		files = append(files, f)
	}
	return files
}

// compare compares what play returns with what each scenario of a version says, or updates that. What play
// returns nil for is left as it is.
func compare(t *testing.T, version string, files []conformanceFile, play func(*testing.T, *scenario) [][]string) {
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f.path), ".txt"), func(t *testing.T) {
			var text strings.Builder
			text.WriteString(f.preamble)
			for _, s := range f.scenarios {
				if !s.of(version) {
					text.WriteString(s.format(s.wants()) + "\n")
					continue
				}
				t.Run(s.title, func(t *testing.T) {
					got := play(t, s)
					if got == nil {
						got = s.wants()
					}
					text.WriteString(s.format(got) + "\n")
					if !*update {
						s.check(t, got)
					}
				})
			}
			if *update && !t.Failed() {
				if err := os.WriteFile(f.path, []byte(strings.TrimRight(text.String(), "\n")+"\n"), 0o644); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
