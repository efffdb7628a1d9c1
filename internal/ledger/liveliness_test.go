package ledger

import (
	"testing"
	"time"
)

func TestLiveliness(t *testing.T) {
	for _, tt := range []struct {
		name   string
		frames []int64 // when, in ms
		want   int64
	}{
		{"nothing yet", nil, 0},
		{"too short to tell", []int64{5000, 5500}, 0},
		{"steady", []int64{5000, 5500, 6000, 6500}, 6500},
		{"frozen, and one frame as it thaws", []int64{5000, 5500, 6000, 14000}, 6000},
		{"frozen, and at work again", []int64{5000, 5500, 6000, 14000, 14500, 15000}, 15000},
		{"idle, with heartbeats", []int64{5000, 7000, 9000}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var l liveliness
			for _, ms := range tt.frames {
				l.frame(ms * int64(time.Millisecond))
			}
			if got := l.steady / int64(time.Millisecond); got != tt.want {
				t.Errorf("at work at %d ms, want %d", got, tt.want)
			}
		})
	}
}
