package publisher

// isolation finds a message over which the broker closes the channel: so few
// are sent at a time that in the end one alone is, and can be blamed. After a
// death half as many as could have been it are sent, and their verdicts waited
// for; when all is well twice as many are next. It is pure.
type isolation struct {
	limit int // a group of more needs no bound
	group int // 0: no bound
	left  int // of the group, to be sent
}

func (i *isolation) active() bool { return i.group > 0 }

// narrow notes that the channel was closed over one of so many messages.
func (i *isolation) narrow(suspects int) {
	i.group = max(1, suspects/2)
	i.left = i.group
}

// restart begins the group again, on a new channel.
func (i *isolation) restart() { i.left = i.group }

// admits reports whether one more message may be sent, with so many in flight
// and waiting.
func (i *isolation) admits(inFlight, waiting int) bool {
	switch {
	case i.group == 0, i.left > 0 && waiting > 0:
		return true
	case inFlight > 0:
		return false // the group's verdicts first
	}
	i.widen()
	if waiting == 0 {
		i.group = 0
	}
	return true
}

// widen makes the next group twice as large: this one was not it.
func (i *isolation) widen() {
	if i.group *= 2; i.group > i.limit {
		i.group = 0
	}
	i.left = i.group
}

func (i *isolation) sent() { i.left-- }
