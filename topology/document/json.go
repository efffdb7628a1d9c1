package document

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/warren-mq/warren/internal/errs"
)

// maxDepth is how deep objects and lists may be nested; tables in AMQP have
// 32 levels.
const maxDepth = 64

// jsonReader reads JSON with the lines on which its values are.
type jsonReader struct {
	data  []byte
	dec   *json.Decoder
	at    int64 // the offset up to which lines are counted
	line  int
	start int64 // of the line
}

func readJSON(data []byte) (*node, error) {
	r := &jsonReader{data: data, dec: json.NewDecoder(bytes.NewReader(data)), line: 1}
	r.dec.UseNumber()
	n, err := r.value(0)
	if err == nil {
		if _, err = r.dec.Token(); errors.Is(err, io.EOF) {
			return n, nil
		}
		if err == nil {
			err = errors.New("there is more behind the end")
		}
	}
	return nil, r.mistake(err)
}

// place moves to the end of the last token, and returns its line and column.
func (r *jsonReader) place(offset int64) (line, column int) {
	offset = min(offset, int64(len(r.data)))
	for ; r.at < offset; r.at++ {
		if r.data[r.at] == '\n' {
			r.line, r.start = r.line+1, r.at+1
		}
	}
	return r.line, int(offset - r.start)
}

func (r *jsonReader) mistake(err error) error {
	if _, ok := errs.AsType[*Error](err); ok {
		return err
	}
	offset := r.dec.InputOffset()
	if s, ok := errs.AsType[*json.SyntaxError](err); ok {
		offset = max(offset, s.Offset)
	}
	if errors.Is(err, io.EOF) {
		err, offset = io.ErrUnexpectedEOF, int64(len(r.data))
	}
	line, column := r.place(offset)
	return &Error{Line: line, Column: column, Err: err}
}

func (r *jsonReader) value(depth int) (*node, error) {
	token, err := r.dec.Token()
	if err != nil {
		return nil, err
	}
	n := &node{}
	n.line, n.column = r.place(r.dec.InputOffset())
	switch t := token.(type) {
	case bool:
		n.kind, n.boolean = boolean, t
	case string:
		n.kind, n.text = text, t
	case json.Number:
		if err := n.setNumber(string(t)); err != nil {
			return nil, &Error{Line: n.line, Column: n.column, Err: err}
		}
	case json.Delim:
		if depth == maxDepth {
			return nil, &Error{Line: n.line, Column: n.column, Err: errTooDeep}
		}
		if t == '[' {
			return n, r.list(n, depth)
		}
		return n, r.object(n, depth)
	}
	return n, nil
}

var errTooDeep = fmt.Errorf("nested deeper than %d levels", maxDepth)

// setNumber makes n a whole number if there is neither a point nor an exponent.
func (n *node) setNumber(s string) (err error) {
	if strings.ContainsAny(s, ".eE") {
		n.kind = number
		n.number, err = strconv.ParseFloat(s, 64)
	} else {
		n.kind = integer
		n.integer, err = strconv.ParseInt(s, 10, 64)
	}
	if err != nil {
		return fmt.Errorf("%s is out of range", s)
	}
	return nil
}

func (r *jsonReader) list(n *node, depth int) error {
	n.kind = list
	for r.dec.More() {
		item, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	_, err := r.dec.Token()
	return err
}

func (r *jsonReader) object(n *node, depth int) error {
	n.kind = object
	for r.dec.More() {
		key, err := r.dec.Token()
		if err != nil {
			return err
		}
		line, _ := r.place(r.dec.InputOffset())
		value, err := r.value(depth + 1)
		if err != nil {
			return err
		}
		n.fields = append(n.fields, field{key.(string), line, value}) // keys are strings, says the decoder
	}
	_, err := r.dec.Token()
	return err
}

// writeJSON returns n with an indentation of two spaces and a final newline.
func writeJSON(n *node) ([]byte, error) {
	var b bytes.Buffer
	if err := appendJSON(&b, n); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := json.Indent(&out, b.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	out.WriteByte('\n')
	return out.Bytes(), nil
}

func appendJSON(b *bytes.Buffer, n *node) error {
	switch n.kind {
	case null:
		b.WriteString("null")
	case boolean:
		fmt.Fprint(b, n.boolean)
	case integer:
		fmt.Fprint(b, n.integer)
	case number:
		b.WriteString(formatNumber(n.number))
	case text:
		return appendText(b, n.text)
	case list:
		return appendAll(b, "[]", len(n.items), func(i int) error { return appendJSON(b, n.items[i]) })
	case object:
		return appendAll(b, "{}", len(n.fields), func(i int) error {
			if err := appendText(b, n.fields[i].key); err != nil {
				return err
			}
			b.WriteByte(':')
			return appendJSON(b, n.fields[i].value)
		})
	}
	return nil
}

func appendAll(b *bytes.Buffer, brackets string, n int, one func(i int) error) error {
	b.WriteByte(brackets[0])
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := one(i); err != nil {
			return err
		}
	}
	b.WriteByte(brackets[1])
	return nil
}

func appendText(b *bytes.Buffer, s string) error {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		return err
	}
	b.Truncate(b.Len() - 1) // the newline
	return nil
}

// formatNumber keeps a number from being read as a whole one.
func formatNumber(f float64) string {
	s := strconv.FormatFloat(f, 'g', -1, 64)
	if !strings.ContainsAny(s, ".e") && !math.IsInf(f, 0) && !math.IsNaN(f) {
		s += ".0"
	}
	return s
}
