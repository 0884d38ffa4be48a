package faultfs

// Part is how much of an operation is done that is said to have failed.
type Part int

const (
	Nothing Part = iota
	Half         // of a Write; of all others, nothing
	All
)

// Fault is what is to go wrong.
type Fault struct {
	Kind Kind
	Nth  int   // which operation of the kind it befalls, from 1 on
	Code int32 // SQLite's code for it, as SQLITE_IOERR_FSYNC
	Done Part
	Ever bool // it befalls all later ones of the kind, too
}

// Fail makes an operation fail. The count begins anew with each call.
func (d *Disk) Fail(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.count)
	d.fault, d.failed = &f, 0
}

// Heal ends all faults, and returns how many operations have failed.
func (d *Disk) Heal() (failed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = nil
	return d.failed
}

// Failed is how many operations have failed since the last Fail.
func (d *Disk) Failed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Count is how many operations of a kind there were since the last Fail.
func (d *Disk) Count(k Kind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.count[k]
}

// befalls counts an operation, and tells whether it is to fail. A fault that is
// over, or none, lets it be done.
func (d *Disk) befalls(k Kind) (code int32, part Part) {
	d.count[k]++
	f := d.fault
	if f == nil || f.Kind != k || d.count[k] < f.Nth || d.count[k] > f.Nth && !f.Ever {
		return 0, All
	}
	d.failed++
	return f.Code, f.Done
}
