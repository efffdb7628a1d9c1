package ledger

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/warren-mq/warren/core/wire"
	"github.com/warren-mq/warren/internal/script"
)

// The files of a [wireText]: what is older is in the second, and what is older than that is gone.
const (
	textFile      = "wire.txt"
	olderTextFile = "wire.older.txt"
	textLimit     = 16 << 20 // bytes of either
)

// wireText writes down, for a reader, what records have no room for: the methods of all connections in full, without
// credentials, but those of single messages. It is nil for a ledger in memory.
type wireText struct {
	dir   string
	limit int

	mu   sync.Mutex // guards the following
	file *os.File
	size int
	err  error // the first one
}

func newWireText(dir string) (*wireText, error) {
	t := &wireText{dir: dir, limit: textLimit}
	t.open()
	return t, t.err
}

// open begins a new file.
func (t *wireText) open() {
	t.size = 0
	t.file, t.err = os.Create(filepath.Join(t.dir, textFile))
}

// line adds a line, at once: it is to be there when the process is not.
func (t *wireText) line(at int64, conn uint32, format string, args ...any) {
	if t == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil && t.size >= t.limit {
		t.turn()
	}
	if t.err != nil {
		return
	}
	var n int
	n, t.err = fmt.Fprintf(t.file, "%14v c%d %s\n", time.Duration(at).Round(time.Microsecond), conn, fmt.Sprintf(format, args...))
	t.size += n
}

// turn puts what there is aside and goes on in a new file. It is called with t.mu held.
func (t *wireText) turn() {
	t.err = errors.Join(t.file.Close(), os.Rename(filepath.Join(t.dir, textFile), filepath.Join(t.dir, olderTextFile)))
	if t.err == nil {
		t.open()
	}
}

func (t *wireText) close() error {
	if t == nil {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err == nil {
		t.err = os.ErrClosed // what comes later has no place
		return t.file.Close()
	}
	if errors.Is(t.err, os.ErrClosed) {
		return nil
	}
	return t.err
}

// tell writes a method down, unless it is about a single message: there are too many of those, and records tell of them.
func (c *Conn) tell(f wire.Frame, way int) {
	if c.ledger.text == nil || f.Type != wire.FrameMethod {
		return
	}
	id, _ := wire.PeekMethod(f.Payload)
	switch id {
	case wire.MethodBasicPublish, wire.MethodBasicReturn, wire.MethodBasicDeliver, wire.MethodBasicGetOk,
		wire.MethodBasicAck, wire.MethodBasicNack, wire.MethodBasicReject:
		return
	}
	arrow := ">"
	if way == toClient {
		arrow = "<"
	}
	text := fmt.Sprintf("%v that cannot be read, %d bytes", id, len(f.Payload))
	if m, err := c.decoder.Method(f.Payload); err == nil {
		text = script.Format(m, nil)
	}
	c.ledger.text.line(c.ledger.now(), c.number, "%s %d %s", arrow, f.Channel, text)
}
