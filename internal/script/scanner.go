package script

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/core/wire"
)

// scanner reads values off the front of a line. After an error it yields zero values.
type scanner struct {
	rest string
	err  error
}

func (s *scanner) skipSpace() { s.rest = strings.TrimLeft(s.rest, " \t") }

func (s *scanner) peek() byte {
	if s.rest == "" {
		return 0
	}
	return s.rest[0]
}

// accept takes c if it comes next.
func (s *scanner) accept(c byte) bool {
	if s.peek() != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

func (s *scanner) fail(err error) {
	if s.err == nil {
		s.err = err
	}
	s.rest = ""
}

// word takes a name or a string, quoted or not.
func (s *scanner) word() string {
	if s.peek() == '"' {
		return s.quoted()
	}
	n := 0
	for n < len(s.rest) && inWord(s.rest[n]) {
		n++
	}
	if n == 0 {
		s.fail(fmt.Errorf("a word was expected at %q", s.rest))
		return ""
	}
	w := s.rest[:n]
	s.rest = s.rest[n:]
	return w
}

func (s *scanner) quoted() string {
	q, err := strconv.QuotedPrefix(s.rest)
	if err != nil {
		s.fail(errors.New("a quoted string does not end"))
		return ""
	}
	s.rest = s.rest[len(q):]
	v, err := strconv.Unquote(q)
	if err != nil {
		s.fail(err)
	}
	return v
}

func (s *scanner) value() any {
	switch c := s.peek(); {
	case c == '{':
		return s.table()
	case c == '[':
		return s.array()
	case c == '@':
		s.rest = s.rest[1:]
		n, err := strconv.ParseInt(s.word(), 10, 64)
		if err != nil {
			s.fail(err)
		}
		return seconds(n)
	case strings.HasPrefix(s.rest, `x"`):
		s.rest = s.rest[1:]
		return []byte(s.quoted())
	case strings.HasPrefix(s.rest, "D("):
		return s.decimal()
	case c == '-' || c >= '0' && c <= '9':
		return s.number()
	case c == '"':
		return s.quoted()
	}
	return keyword(s.word())
}

func keyword(w string) any {
	switch w {
	case "true":
		return true
	case "false":
		return false
	case "void":
		return nil
	}
	return w
}

func (s *scanner) table() wire.Table {
	t := wire.Table{}
	for s.accept('{'); !s.end('}'); {
		key := s.word()
		if !s.accept('=') {
			s.fail(fmt.Errorf("= was expected behind %q", key))
		}
		t[key] = s.value()
	}
	return t
}

func (s *scanner) array() []any {
	a := []any{}
	for s.accept('['); !s.end(']'); {
		a = append(a, s.value())
	}
	return a
}

// end takes the bracket that closes a list, or says that there is more.
func (s *scanner) end(bracket byte) bool {
	s.skipSpace()
	if s.rest == "" {
		s.fail(fmt.Errorf("%c is missing", bracket))
	}
	return s.err != nil || s.accept(bracket)
}

func (s *scanner) decimal() any {
	var d wire.Decimal
	n := strings.IndexByte(s.rest, ')') + 1
	if _, err := fmt.Sscanf(s.rest[:n], "D(%d,%d)", &d.Value, &d.Scale); err != nil {
		s.fail(err)
		return nil
	}
	s.rest = s.rest[n:]
	return d
}
