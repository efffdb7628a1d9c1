package main

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/warren-mq/warren/cmd/warren/internal/demo"
	"github.com/warren-mq/warren/internal/ledger"
)

// A run that lost a confirmed message ends with an error, and so with status 1.
func TestReportTellsLoss(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		summary ledger.Summary
		run     error
		want    error
	}{
		{ledger.Summary{Published: 2, Confirmed: 2, Unique: 2}, nil, nil},
		{ledger.Summary{Published: 2, Confirmed: 2, Unique: 1, Lost: 1}, nil, errLost},
		{ledger.Summary{Published: 2, Confirmed: 2, Unique: 2, Phantoms: 1}, nil, errPhantoms},
		{ledger.Summary{Published: 2, Confirmed: 1, Unique: 1}, broken, broken},
		{ledger.Summary{}, broken, broken},
	} {
		var out bytes.Buffer
		if err := report(&out, &out, demo.Result{Summary: tt.summary}, tt.run, false); !errors.Is(err, tt.want) || (tt.want == nil) != (err == nil) {
			t.Errorf("%+v: %v, want %v", tt.summary, err, tt.want)
		}
		if shown := strings.Contains(out.String(), "consumed unique"); shown != (tt.summary.Published > 0) {
			t.Errorf("%+v: the ledger is shown: %v", tt.summary, shown)
		}
	}
}
