package ledger

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// addLives tells, for each violation by a message, what both ledgers hold of it.
func addLives(v *view, violations []Violation) {
	lives := map[int][]Record{}
	for _, f := range violations {
		if f.slot >= 0 {
			lives[f.slot] = nil
		}
	}
	if len(lives) == 0 {
		return
	}
	v.history.each(all, func(r *Record) {
		if r.Pub == 0 {
			return
		}
		if slot, ok := v.slotOf(r); ok {
			if life, wanted := lives[slot]; wanted {
				lives[slot] = append(life, *r)
			}
		}
	})
	for slot := range lives {
		lives[slot] = append(lives[slot], v.verdicts(slot)...)
		lives[slot] = v.withFaults(lives[slot])
		slices.SortStableFunc(lives[slot], func(a, b Record) int { return cmp.Compare(a.Time, b.Time) })
	}
	for i := range violations {
		if f := &violations[i]; f.slot >= 0 {
			f.Life = v.name(f.slot) + ": " + v.story(lives[f.slot])
		}
	}
}

// verdicts returns the records about a message that do not name it: confirms and
// settlements of its tags.
func (v *view) verdicts(slot int) (records []Record) {
	for i := range v.publications {
		p := &v.publications[i]
		if int(p.slot) == slot && p.verdict != noVerdict {
			r := Record{Kind: Confirm, Time: p.verdictTime, Epoch: p.epoch, Tag: p.number}
			if p.verdict == nacked {
				r.Flags = Negative
			}
			records = append(records, r)
		}
	}
	for i := range v.deliveries {
		d := &v.deliveries[i]
		if int(d.slot) == slot && d.settlement != open && d.flags&NoAck == 0 {
			r := Record{Kind: WireSettle, Time: d.settled, Epoch: d.epoch, Tag: d.tag}
			switch d.settlement {
			case settledRequeue:
				r.Flags = Negative | Requeue
			case settledDrop:
				r.Flags = Negative
			}
			records = append(records, r)
		}
	}
	return records
}

// withFaults adds the begins and ends of faults that fall into the life.
func (v *view) withFaults(life []Record) []Record {
	if len(life) == 0 {
		return life
	}
	byTime := func(a, b Record) int { return cmp.Compare(a.Time, b.Time) }
	first, last := slices.MinFunc(life, byTime).Time, slices.MaxFunc(life, byTime).Time
	for _, r := range v.faultRecords {
		if r.Flags&Effect == 0 && first <= r.Time && r.Time <= last {
			life = append(life, r)
		}
	}
	return life
}

// maxStory is how many events of a life are told.
const maxStory = 24

// story tells a life in one line.
func (v *view) story(records []Record) string {
	var b strings.Builder
	for i := range records {
		if i == maxStory {
			fmt.Fprintf(&b, "; and %d more", len(records)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		fmt.Fprintf(&b, "%v %s", time.Duration(records[i].Time).Round(time.Microsecond), v.history.words(&records[i]))
	}
	return b.String()
}
