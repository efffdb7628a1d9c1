package ledger_test

import (
	"fmt"

	"github.com/warren-mq/warren/internal/ledger"
)

func Example() {
	l := ledger.New(1)
	l.Up()
	p := l.Publisher()
	c := l.Consumer("orders")

	for range 3 {
		m := p.Next(0, 100) // publish m.Body, with ledger.Headers(m.Body)
		p.Result(m.ID, ledger.Confirmed)
		if m.ID.Seq == 2 {
			continue // it never arrives
		}
		id, err := c.Deliver(m.Body, 1, false) // in the handler
		c.End(id, 1, err)
	}
	s := l.Summary()
	fmt.Println(s.Published, "published", s.Unique, "consumed", s.Lost, "lost, fine:", s.OK())
	// Output: 3 published 2 consumed 1 lost, fine: false
}
