package session

import (
	"context"

	"github.com/warren-mq/warren/core"
	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/gate"
)

// flight are the attempts to consume that are under way on the connection, of members
// and of channels alike: each may make the broker close it. Of several it is not known
// which one did; so each that may have is then made alone. The connection's lock guards it.
type flight struct {
	now     int  // under way
	crowd   bool // they were several at a time since there was none
	alone   bool // the one under way is to have no company
	changed gate.Gate
}

// Blame says what an attempt to consume had to do with the end of the connection.
type Blame int

const (
	// NotBlamed: the attempt succeeded, or the connection lives, or it ended over something else.
	NotBlamed Blame = iota
	// Suspect: the attempt may have been what the broker closed the connection over. The next is to be made alone.
	Suspect
	// Offender: the broker closed the connection over this attempt.
	Offender
)

// Attempt runs consume, which sends one basic.consume on conn and waits for the answer.
// With alone, for a [Suspect], no other attempt on the connection is under way
// meanwhile; without, none that is to be alone. ctx bounds the wait for that; if conn
// has ended by then, consume is not called. The error is why conn ended, if it did,
// else what consume returned.
func (c *Connection) Attempt(ctx context.Context, conn *core.Conn, alone bool, consume func() error) (Blame, error) {
	if err := c.beginAttempt(ctx, alone); err != nil {
		return NotBlamed, err
	}
	if err := conn.Err(); err != nil { // over another one, while this one waited
		c.endAttempt()
		return NotBlamed, err
	}
	err := consume()
	noOther := c.endAttempt()
	if lost := conn.Err(); err != nil && lost != nil {
		return judge(lost, noOther, alone), lost
	}
	return NotBlamed, err
}

func (c *Connection) beginAttempt(ctx context.Context, alone bool) error {
	c.mu.Lock()
	f := &c.flight
	for f.alone || alone && f.now > 0 {
		changed := f.changed.Wait()
		c.mu.Unlock()
		if err := gate.Await(ctx, changed); err != nil {
			return err
		}
		c.mu.Lock()
	}
	defer c.mu.Unlock()
	f.now++
	f.alone, f.crowd = alone, f.crowd || f.now > 1
	return nil
}

// endAttempt reports whether no other attempt was under way meanwhile.
func (c *Connection) endAttempt() (alone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := &c.flight
	alone = !f.crowd
	if f.now--; f.now == 0 {
		f.alone, f.crowd = false, false
		f.changed.Wake()
	}
	return alone
}

// judge judges an attempt during which the connection ended with lost. alone: no other
// was under way; again: it was a suspect before. An error that names no method is
// blamed on an attempt only the second time.
func judge(lost error, alone, again bool) Blame {
	e := core.AsError(lost)
	switch {
	case !e.ClosedConnection() || !e.MayBeOver(wire.MethodBasicConsume):
		return NotBlamed
	case alone && (again || e.ClosedOver(wire.MethodBasicConsume)):
		return Offender
	}
	return Suspect
}
