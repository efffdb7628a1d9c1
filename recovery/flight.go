package recovery

import (
	"context"

	"github.com/warren-mq/warren/internal/gate"
)

// flight are the members that do at this moment what may make the broker close
// the connection. Of several it is not known which one did; so each that may
// have is then let go alone. The connection's lock guards it.
type flight struct {
	now     int  // under way
	crowd   bool // they were several at a time since there was none
	alone   bool // the one under way is to have no company
	changed gate.Gate
}

// Begin waits, within ctx, until the member may do what the broker may close
// the connection over, such as basic.consume: with alone, until no other
// member does; without, until none does that wants to be alone. After nil call
// [Member.End].
func (m *Member) Begin(ctx context.Context, alone bool) error {
	c := m.conn
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

// End ends what was begun, and reports whether no other member was at it meanwhile.
func (m *Member) End() (alone bool) {
	c := m.conn
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
