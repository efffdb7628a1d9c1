package nullbroker

import "testing"

func TestAckWindowCountsEachDeliveryOnce(t *testing.T) {
	type ack struct {
		tag      uint64
		multiple bool
		want     int
	}
	tests := []struct {
		name string
		acks []ack
	}{
		{"in order", []ack{{1, false, 1}, {2, false, 1}, {3, false, 1}}},
		{"multiple", []ack{{3, true, 3}, {4, false, 1}}},
		{"out of order", []ack{{3, false, 1}, {1, false, 1}, {2, false, 1}, {4, false, 1}}},
		{"multiple over some that are settled", []ack{{2, false, 1}, {4, true, 3}}},
		{"twice", []ack{{1, false, 1}, {1, false, 0}, {1, true, 0}}},
		{"the first one held back while the ring goes round", []ack{{2, false, 1}, {3, false, 1}, {4, false, 1}, {9, false, 1}, {9, true, 5}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var w ackWindow
			w.reset(4)
			for _, a := range tt.acks {
				if got := w.ack(a.tag, a.multiple); got != a.want {
					t.Errorf("ack(%d, %v) settles %d, want %d", a.tag, a.multiple, got, a.want)
				}
			}
		})
	}
}
