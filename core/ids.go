package core

// idPool hands out channel ids 1 … max. A freed id is reused as late as
// possible, so that a stray frame of its last owner finds no new one.
type idPool struct {
	max   uint16
	fresh uint16   // next id never used
	freed []uint16 // oldest first
}

func newIDPool(limit uint16) idPool { return idPool{max: limit, fresh: 1} }

// take returns an id, or false if all are in use.
func (p *idPool) take() (uint16, bool) {
	if p.fresh <= p.max && p.fresh != 0 {
		p.fresh++
		return p.fresh - 1, true
	}
	if len(p.freed) == 0 {
		return 0, false
	}
	id := p.freed[0]
	p.freed = p.freed[1:]
	return id, true
}

// used reports whether id was ever handed out.
func (p *idPool) used(id uint16) bool { return p.fresh == 0 || id < p.fresh }

// free gives id back.
func (p *idPool) free(id uint16) { p.freed = append(p.freed, id) }
