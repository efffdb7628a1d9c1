package consumer

import (
	"errors"
	"testing"
	"time"

	"github.com/warren-mq/warren/core"
)

func TestIsolation(t *testing.T) {
	refused := core.Error{Code: core.ErrInternal, Method: "basic.consume", Server: true}
	unnamed, other, forced, ours := refused, refused, refused, refused
	unnamed.Method, other.Method, ours.Server = "", "queue.declare", false
	forced.Method, forced.Code = "", core.ErrConnectionForced
	for name, c := range map[string]struct {
		err             error
		alone, before   bool // before: it was a suspect
		guilty, suspect bool
	}{
		"alone":                   {&refused, true, false, true, true},
		"in company":              {&refused, false, false, false, true},
		"no method":               {&unnamed, true, false, false, true},
		"no method again":         {&unnamed, true, true, true, true},
		"no method, in company":   {&unnamed, false, true, false, true},
		"another method":          {&other, true, false, false, false},
		"an operator":             {&forced, true, false, false, false},
		"this side":               {&ours, true, false, false, false},
		"the network":             {errors.New("reset"), true, false, false, false},
		"the network, on its own": {errors.New("reset"), true, true, false, true},
	} {
		i := isolation{suspect: c.before}
		if got := i.accuse(c.err, c.alone, time.Now()); got != c.guilty || i.suspect != c.suspect || i.due.IsZero() == c.guilty {
			t.Errorf("%s: guilty %t, %+v", name, got, i)
		}
	}
	i, now := isolation{}, time.Now()
	for n := range 12 {
		i.accuse(&refused, true, now)
		if want := min(5*time.Second<<n, time.Hour); i.due.Sub(now) != want {
			t.Errorf("attempt %d: waits %s; want %s", n+1, i.due.Sub(now), want)
		}
	}
}
