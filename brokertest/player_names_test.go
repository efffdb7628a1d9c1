package brokertest

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

var (
	madeUp    = regexp.MustCompile(`amq\.(gen|ctag)-[A-Za-z0-9_-]+|amq\.rabbitmq\.reply-to\.[A-Za-z0-9_.=+/-]+`)
	quoted    = regexp.MustCompile(`"(\$reply\d+)"`) // some of these names have characters that need quotes
	deathTime = regexp.MustCompile(`time=@\d+`)
)

// alias gives the names that the broker made up the same names in every run.
func (p *player) alias(line string) string {
	line = strings.ReplaceAll(line, "in vhost '"+p.vhost+"'", "in vhost '/'")
	line = deathTime.ReplaceAllString(line, "time=@0")
	line = madeUp.ReplaceAllStringFunc(line, p.shortName)
	return quoted.ReplaceAllString(line, "$1")
}

// shortName is what the scenario calls a name that the broker made up.
func (p *player) shortName(name string) string {
	if known, ok := p.names[name]; ok {
		return known
	}
	kind := name[:strings.IndexByte(name, '-')]
	kind = kind[strings.LastIndexByte(kind, '.')+1:]
	n := 1
	for _, other := range p.names {
		if strings.HasPrefix(other, "$"+kind) {
			n++
		}
	}
	p.names[name] = "$" + kind + strconv.Itoa(n)
	return p.names[name]
}

// ledger numbers the publishes of one channel since confirm.select.
type ledger struct {
	selected bool
	last     uint64
	open     []uint64 // without a verdict, ascending
}

// note follows what a client sends.
func (l *ledger) note(m wire.Method) {
	switch m.(type) {
	case *wire.ConfirmSelect:
		l.selected = true
	case *wire.BasicPublish:
		if l.selected {
			l.last++
			l.open = append(l.open, l.last)
		}
	case *wire.ChannelOpen:
		*l = ledger{}
	}
}

// settle returns the publishes that one verdict is about.
func (l *ledger) settle(tag uint64, multiple bool) []uint64 {
	var settled []uint64
	l.open = slices.DeleteFunc(l.open, func(n uint64) bool {
		hit := n == tag || multiple && n < tag
		if hit {
			settled = append(settled, n)
		}
		return hit
	})
	return settled
}

// pending returns how many publishes a verdict is about.
func (l *ledger) pending(tag uint64, multiple bool) int {
	copied := ledger{open: slices.Clone(l.open)}
	return len(copied.settle(tag, multiple))
}

// joinConfirms writes runs of acks and nacks of one channel, which a broker may join and reorder, as one line.
func (p *player) joinConfirms(conn string, in []received) []received {
	var out []received
	var acked, nacked []uint64
	for i, r := range in {
		l := p.ledger(conn, r.channel)
		switch m := r.method.(type) {
		case *wire.BasicAck:
			acked = append(acked, l.settle(m.DeliveryTag, m.Multiple)...)
		case *wire.BasicNack:
			nacked = append(nacked, l.settle(m.DeliveryTag, m.Multiple)...)
		default:
			out = append(out, r)
			continue
		}
		if i+1 == len(in) || !isConfirm(in[i+1]) || in[i+1].channel != r.channel {
			r.text = confirmText(acked, nacked)
			out = append(out, r)
			acked, nacked = nil, nil
		}
	}
	return out
}

func isConfirm(r received) bool {
	switch r.method.(type) {
	case *wire.BasicAck, *wire.BasicNack:
		return true
	}
	return false
}

func confirmText(acked, nacked []uint64) string {
	slices.Sort(acked)
	slices.Sort(nacked)
	text := "confirms"
	if len(acked) > 0 {
		text += fmt.Sprintf(" acked=%v", acked)
	}
	if len(nacked) > 0 {
		text += fmt.Sprintf(" nacked=%v", nacked)
	}
	return text
}

func (p *player) ledger(conn string, channel uint16) *ledger {
	key := conn + strconv.Itoa(int(channel))
	if p.ledgers[key] == nil {
		p.ledgers[key] = &ledger{}
	}
	return p.ledgers[key]
}
