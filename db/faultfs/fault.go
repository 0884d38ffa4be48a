package faultfs

// Part is how much of a failed operation is done.
type Part int

const (
	Nothing Part = iota
	Half         // half of the bytes of a Write, nothing of other operations
	All
)

// Fault describes an operation that fails.
type Fault struct {
	Kind       Kind
	Nth        int   // number of the operation of the kind, from 1
	Code       int32 // SQLite's error code, such as SQLITE_IOERR_FSYNC
	Done       Part
	Persistent bool // all later operations of the kind fail too
}

// Inject replaces the current fault and resets the counts.
func (d *Disk) Inject(f Fault) {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.counts)
	d.fault, d.failed = &f, 0
}

// ClearFault removes the fault, and returns the number of operations that failed.
func (d *Disk) ClearFault() (failed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = nil
	return d.failed
}

// Failed returns the number of operations that failed since the last Inject.
func (d *Disk) Failed() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.failed
}

// Count returns the number of operations of a kind since the last Inject.
func (d *Disk) Count(k Kind) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.counts[k]
}

// count counts an operation. If the operation must fail, it returns the error code and
// how much is to be done; otherwise 0 and All.
func (d *Disk) count(k Kind) (code int32, part Part) {
	d.counts[k]++
	f := d.fault
	if f == nil || f.Kind != k || d.counts[k] < f.Nth || d.counts[k] > f.Nth && !f.Persistent {
		return 0, All
	}
	d.failed++
	return f.Code, f.Done
}
