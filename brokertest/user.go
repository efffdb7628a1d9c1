package brokertest

import (
	"bytes"
	"regexp"

	"github.com/warren-mq/warren/brokertest/internal/state"
	"github.com/warren-mq/warren/core/wire"
)

// user is who may log in. Guarded by Broker.mu.
type user struct {
	name, password string
	permissions    map[string]permissions // by virtual host; nil: everything everywhere
	topics         map[topicExchange]permissions
	terse          bool // RabbitMQ 3.10 does not tell what access is refused
}

// permissions are the names of resources that a user may configure, write to and read from; nil: all.
type permissions struct{ configure, write, read *regexp.Regexp }

func newUser(name, password string) *user { return &user{name: name, password: password} }

// mayEnter reports whether the user may open the virtual host.
func (u *user) mayEnter(vhost string) bool {
	if u.permissions == nil {
		return true
	}
	_, ok := u.permissions[vhost]
	return ok
}

// access is a kind of permission.
type access string

const (
	configure access = "configure"
	write     access = "write"
	read      access = "read"
)

// check refuses access to a queue or exchange that the user's permissions do not cover.
func (u *user) check(a access, vhost, kind, name string) *state.Refusal {
	if u.permissions == nil {
		return nil
	}
	p := u.permissions[vhost]
	covered := map[access]*regexp.Regexp{configure: p.configure, write: p.write, read: p.read}[a]
	if kind == "exchange" && name == "" {
		name = "amq.default"
	}
	if covered != nil && covered.MatchString(name) {
		return nil
	}
	return state.Refuse(state.AccessRefused, "%saccess to %s '%s' in vhost '%s' refused for user '%s'", u.verb(a), kind, name, vhost, u.name)
}

// verb begins the text of a refusal.
func (u *user) verb(a access) string {
	if u.terse {
		return ""
	}
	return string(a) + " "
}

// SetPermissions says what a user may do in a virtual host: configure, write to and read from those queues
// and exchanges whose names match the regular expressions, which an expression without ^ and $ does if it
// matches a part; an empty one matches nothing. From the
// first call on the user may do nothing elsewhere. It panics if the user is unknown or an expression is
// wrong.
func (b *Broker) SetPermissions(name, vhost, configure, write, read string) {
	p := permissions{expression(configure), expression(write), expression(read)}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[name]
	if u == nil {
		panic("brokertest: no user " + name)
	}
	if u.permissions == nil {
		u.permissions = map[string]permissions{}
	}
	u.permissions[vhost] = p
}

// topicExchange is an exchange in which permissions depend on the routing key.
type topicExchange struct{ vhost, name string }

// checkTopic refuses a routing key of a topic exchange that the user's topic permissions do not cover.
func (u *user) checkTopic(a access, vhost string, x *state.Exchange, key string) *state.Refusal {
	p, limited := u.topics[topicExchange{vhost, x.Name}]
	if !limited || x.Type != state.Topic {
		return nil
	}
	if covered := map[access]*regexp.Regexp{write: p.write, read: p.read}[a]; covered != nil && covered.MatchString(key) {
		return nil
	}
	return state.Refuse(state.AccessRefused, "%saccess to topic '%s' in exchange '%s' in vhost '%s' refused for user '%s'",
		u.verb(a), key, x.Name, vhost, u.name)
}

// SetTopicPermissions says with which routing keys a user may publish to a topic exchange, and bind to it: with
// those that match the regular expressions; an empty one matches nothing. They narrow what
// [Broker.SetPermissions] allows. It panics if the user is unknown or an expression is wrong.
func (b *Broker) SetTopicPermissions(name, vhost, exchange, write, read string) {
	p := permissions{write: expression(write), read: expression(read)}
	b.mu.Lock()
	defer b.mu.Unlock()
	u := b.users[name]
	if u == nil {
		panic("brokertest: no user " + name)
	}
	if u.topics == nil {
		u.topics = map[topicExchange]permissions{}
	}
	u.topics[topicExchange{vhost, exchange}] = p
}

// ClearPermissions lets a user do everything again, and everywhere.
func (b *Broker) ClearPermissions(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u := b.users[name]; u != nil {
		u.permissions, u.topics = nil, nil
	}
}

// SetPassword changes the password of a user, or adds the user. Open connections stay open.
func (b *Broker) SetPassword(name, password string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if u := b.users[name]; u != nil {
		u.password = password
		return
	}
	b.users[name] = newUser(name, password)
	b.users[name].terse = b.before40()
}

// DenyLogin refuses the user at login until [Broker.AllowLogin].
func (b *Broker) DenyLogin(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.denied[name] = true
}

// AllowLogin ends [Broker.DenyLogin].
func (b *Broker) AllowLogin(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.denied, name)
}

// expression compiles an expression, nil for an empty one. As RabbitMQ's it is not anchored.
func expression(expr string) *regexp.Regexp {
	if expr == "" {
		return nil
	}
	return regexp.MustCompile(expr)
}

// login returns the user that a SASL response is about, and what the mechanism finds wrong with it. Caller
// holds mu.
func (b *Broker) login(mechanism string, response []byte) (*user, *state.Refusal) {
	var name, password string
	var ok bool
	switch mechanism {
	case "PLAIN":
		name, password, ok = plain(response)
	case "AMQPLAIN":
		name, password, ok = amqplain(response)
	case "ANONYMOUS":
		name, password, ok = "guest", b.passwordOf("guest"), true
	}
	if !ok {
		return nil, state.Refuse(state.SyntaxError, "response invalid")
	}
	u := b.users[name]
	if u == nil || u.password != password || b.denied[name] {
		return nil, state.Refuse(state.AccessRefused,
			"Login was refused using authentication mechanism %s. For details see the broker logfile.", mechanism)
	}
	return u, nil
}

func (b *Broker) passwordOf(name string) string {
	if u := b.users[name]; u != nil {
		return u.password
	}
	return ""
}

// plain reads RFC 4616's "\x00user\x00password".
func plain(response []byte) (name, password string, ok bool) {
	parts := bytes.Split(response, []byte{0})
	if len(parts) != 3 || len(parts[0]) != 0 {
		return "", "", false
	}
	return string(parts[1]), string(parts[2]), true
}

// amqplain reads a table without its length.
func amqplain(response []byte) (name, password string, ok bool) {
	size := len(response)
	payload := append([]byte{0, byte(wire.ClassQueue), 0, 10, 0, 0, 0, 0}, // queue.declare, to have the table decoded
		byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
	var d wire.Decoder
	m, err := d.Method(append(payload, response...))
	if err != nil {
		return "", "", false
	}
	t := m.(*wire.QueueDeclare).Arguments
	name, ok = t["LOGIN"].(string)
	password, ok2 := t["PASSWORD"].(string)
	return name, password, ok && ok2
}
