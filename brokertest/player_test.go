package brokertest

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/script"
)

// player plays one scenario on one broker.
type player struct {
	t      *testing.T
	dial   func() (net.Conn, error)
	settle func(*player)     // returns when the broker has said all that it is going to say
	login  [2]string         // user, password
	users  map[string]string // who a connection logs in as that is not login's: its password is the name too
	vhost  string            // its name is shown as "/"
	longer time.Duration     // factor for times

	clients map[string]*rawClient
	opened  map[string]bool   // connection or connection+channel: in use
	names   map[string]string // what the broker made up → what the scenario calls it
	created []wire.Method     // deletions that undo the scenario
	ledgers map[string]*ledger

	// For settleByTime:
	seen     int            // methods that have come
	asked    map[string]int // requests without an answer, by connection and channel
	expected int            // methods that the scenario says will come
}

// play returns what came behind each step.
func (p *player) play(s *scenario) ([][]string, error) {
	defer p.hangup()
	var got [][]string
	for _, step := range s.steps {
		for _, line := range step.sends {
			if err := p.send(line); err != nil {
				return nil, fmt.Errorf("%s: > %s: %w", s.title, line, err)
			}
		}
		p.expected = len(step.want)
		p.settle(p)
		got = append(got, p.collect())
	}
	return got, nil
}

func (p *player) hangup() {
	for _, c := range p.clients {
		c.close()
	}
}

func (p *player) send(line string) error {
	who, what, _ := strings.Cut(p.substitute(line), " ")
	if who == "sleep" {
		d, err := time.ParseDuration(what)
		time.Sleep(d * p.longer)
		return err
	}
	conn, channel := who[:1], who[1:]
	verb, rest, _ := strings.Cut(what, " ")
	switch verb {
	case "dial":
		p.opened[conn+"raw"] = true // the scenario opens channels itself
		return p.connect(conn)
	case "header":
		p.asked[conn+"0"]++
		return p.clients[conn].write([]byte(wire.ProtocolHeader))
	case "as":
		p.users[conn] = rest
		return nil
	case "hangup":
		return p.clients[conn].conn.Close()
	case "cork":
		p.clients[conn].corked = true
		return nil
	case "uncork":
		return p.clients[conn].uncork()
	}
	if err := p.open(conn, channel); err != nil {
		return err
	}
	n, err := strconv.ParseUint(channel, 10, 16)
	if err != nil {
		return err
	}
	switch verb {
	case "bytes", "frame":
		return p.sendRaw(conn, uint16(n), verb, rest)
	case "content":
		return p.sendContent(conn, uint16(n), rest)
	}
	m, content, err := script.Parse(what)
	if err != nil {
		return err
	}
	p.remember(m)
	p.ledger(conn, uint16(n)).note(m)
	p.ask(who, m)
	return p.clients[conn].send(uint16(n), m, content)
}

func (p *player) sendRaw(conn string, channel uint16, verb, rest string) error {
	kind := 0
	if verb == "frame" {
		var err error
		number, text, _ := strings.Cut(rest, " ")
		if kind, err = strconv.Atoi(number); err != nil {
			return err
		}
		rest = text
	}
	s, err := strconv.Unquote(rest)
	if err != nil {
		return err
	}
	if verb == "bytes" {
		return p.clients[conn].write([]byte(s))
	}
	frame := []byte{byte(kind), byte(channel >> 8), byte(channel), 0, 0, byte(len(s) >> 8), byte(len(s))}
	return p.clients[conn].write(append(append(frame, s...), wire.FrameEnd))
}

// sendContent sends a header and a body of so many octets.
func (p *player) sendContent(conn string, channel uint16, size string) error {
	left, err := strconv.Atoi(size)
	if err != nil {
		return err
	}
	b, err := wire.AppendHeader(nil, channel, wire.ClassBasic, uint64(left), nil)
	part := make([]byte, 1<<20)
	for err == nil && left > 0 {
		n := min(left, len(part))
		err = p.clients[conn].write(wire.AppendBody(b, channel, part[:n], 131072))
		b, left = b[:0], left-n
	}
	return err
}

// remember notes how to undo a declaration.
func (p *player) remember(m wire.Method) {
	switch m := m.(type) {
	case *wire.QueueDeclare:
		p.created = append(p.created, &wire.QueueDelete{Queue: m.Queue})
	case *wire.ExchangeDeclare:
		p.created = append(p.created, &wire.ExchangeDelete{Exchange: m.Exchange})
	}
}

// substitute puts the broker's names in place of $gen1 and the like.
func (p *player) substitute(line string) string {
	for real, alias := range p.names {
		line = strings.ReplaceAll(line, alias, real)
	}
	return line
}

// collect returns what has come, sorted by connection and channel.
func (p *player) collect() []string {
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(p.clients)) {
		got, _ := p.clients[name].take()
		slices.SortStableFunc(got, func(a, b received) int { return int(a.channel) - int(b.channel) })
		for _, r := range p.joinConfirms(name, got) {
			lines = append(lines, p.describe(name, r))
		}
	}
	return lines
}

func (p *player) describe(conn string, r received) string {
	if r.method == nil {
		return conn + " " + r.text
	}
	return p.alias(fmt.Sprintf("%s%d %s", conn, r.channel, methodText(r)))
}

func methodText(r received) string {
	if r.text != "" {
		return r.text
	}
	if m, ok := r.method.(*wire.ConnectionStart); ok {
		short := *m
		short.ServerProperties = nil
		mechanisms := strings.Fields(m.Mechanisms)
		mechanisms = slices.DeleteFunc(mechanisms, func(name string) bool { return name == "ANONYMOUS" }) // since RabbitMQ 4.0
		slices.Sort(mechanisms)                                                                           // they come in any order
		short.Mechanisms = strings.Join(mechanisms, " ")
		return script.Format(&short, nil)
	}
	return script.Format(r.method, r.content)
}
