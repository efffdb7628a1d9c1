package brokertest

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// A scenario is a conversation with a broker, written down:
//
//	== a message comes back to its consumer
//	> a1 queue.declare Queue=q
//	< a1 queue.declare-ok Queue=q
//	> a1 basic.publish RoutingKey=q Body="1"
//	> b1 basic.get Queue=q
//	< b1 basic.get-ok DeliveryTag=1 RoutingKey=q Body="1"
//
// Behind > is what clients do: connection a, channel 1 sends a method. Connections and channels are opened
// when they are first used. Behind < is all that the broker has answered by then, sorted by connection and
// channel. Other things a client does:
//
//	> a dial               open the connection without a word; sending "a header" starts the handshake
//	> a header             send the protocol header
//	> a1 bytes "…"         send octets as they are
//	> a1 frame TYPE "…"    send a frame of any type and payload
//	> a1 content 16777217  send the header and the body of a message of so many octets
//	> a hangup             close the socket
//	> a cork               hold what follows, to send it in one piece
//	> a uncork             which now goes
//	> a as limited         log in, when the connection is opened, as another user than guest
//	> sleep 20ms
//
// A lone < stands where the broker has to come to rest but says nothing.
//
// Names that the broker makes up are written $gen1, $ctag1 and so on, in the order in which they come.
// Confirms that stand together are written as one line, since brokers are free to join them.
//
// A title that ends in @4.0 3.10 belongs to those versions of RabbitMQ alone.
type scenario struct {
	title    string
	versions []string // none: every version
	steps    []step
}

// step is a run of > lines and the < lines behind it.
type step struct {
	sends    []string
	want     []string
	complete bool // its answers have begun
}

func readScenarios(t *testing.T, path string) (preamble string, scenarios []*scenario) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s *scenario
	for n, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		switch {
		case strings.HasPrefix(line, "== "):
			s = newScenario(line[3:])
			scenarios = append(scenarios, s)
		case s == nil:
			preamble += line + "\n"
		case line == "":
		case strings.HasPrefix(line, "> "):
			s.addSend(line[2:])
		case line[0] == '<':
			last := &s.steps[len(s.steps)-1]
			last.complete = true
			if len(line) > 2 {
				last.want = append(last.want, line[2:])
			}
		default:
			t.Fatalf("%s:%d: neither ==, > nor <: %q", path, n+1, line)
		}
	}
	return preamble, scenarios
}

func newScenario(title string) *scenario {
	title, versions, _ := strings.Cut(title, " @")
	return &scenario{title: title, versions: strings.Fields(versions)}
}

// of reports whether the scenario is about a version.
func (s *scenario) of(version string) bool {
	return len(s.versions) == 0 || slices.ContainsFunc(s.versions, func(v string) bool { return strings.HasPrefix(version, v) })
}

// addSend appends to the last step, or starts one if that has its answers.
func (s *scenario) addSend(line string) {
	if n := len(s.steps); n == 0 || s.steps[n-1].complete {
		s.steps = append(s.steps, step{})
	}
	last := &s.steps[len(s.steps)-1]
	last.sends = append(last.sends, line)
}

// String is the text of the scenario with got in place of the answers.
func (s *scenario) format(got [][]string) string {
	var b strings.Builder
	b.WriteString("== " + s.title)
	if len(s.versions) > 0 {
		b.WriteString(" @" + strings.Join(s.versions, " "))
	}
	b.WriteByte('\n')
	for i, step := range s.steps {
		for _, line := range step.sends {
			fmt.Fprintf(&b, "> %s\n", line)
		}
		for _, line := range got[i] {
			fmt.Fprintf(&b, "< %s\n", line)
		}
		if len(got[i]) == 0 {
			b.WriteString("<\n")
		}
	}
	return b.String()
}

// wants is what the scenario says that comes.
func (s *scenario) wants() (all [][]string) {
	for _, step := range s.steps {
		all = append(all, step.want)
	}
	return all
}

// check compares with what has come.
func (s *scenario) check(t *testing.T, got [][]string) {
	for i, step := range s.steps {
		if g, w := strings.Join(got[i], "\n"), strings.Join(step.want, "\n"); g != w {
			t.Errorf("> %s\n got:\n%s\nwant:\n%s", strings.Join(step.sends, "\n> "), g, w)
		}
	}
}
