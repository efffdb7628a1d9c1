package ledger

import (
	"strings"
	"testing"
)

func TestTranscriptTellsBothLedgersByTime(t *testing.T) {
	l := play(t, begin+"invoke 1; pub 1 1; return 1 1; acks 1 1; result 1 returned; fault cut; effect cut; end cut; "+
		"redeliver 2 1 1; rehandle q 1; failed q 1; requeue 2 1; refuse 2; lose q; keep q; call publish 30 1000")
	h, err := l.History()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := h.Write(dir); err != nil {
		t.Fatal(err)
	}
	if h, err = Read(dir); err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := h.Transcript(&out); err != nil {
		t.Fatal(err)
	}
	const want = `
          10ms channel.open e1/0
          20ms confirm.select e1/0
          30ms channel.open e2/0
          40ms qos e2/10
          50ms consume e2/0
          60ms invoke p1/1#1
          70ms publish e1/1 p1/1#1
          80ms return e1/0 p1/1#1
          90ms ack up to e1/1
         100ms returned p1/1#1
         110ms [cut]
         120ms [cut works]
         130ms [/cut]
         140ms deliver (redelivered) e2/1 p1/1#1
         150ms handle from q (redelivered) p1/1#1
         160ms handled from q (failed) p1/1#1
         170ms requeue e2/1
         180ms channel end by the server, 0 e2/0
         190ms [may lose q]
         200ms [/may lose q]
         210ms publish took 30ms
`
	if got := "\n" + out.String(); got != want {
		t.Errorf("got%s\nwant%s", got, want)
	}
}
