package hosting

import (
	"sync"
	"time"
)

const (
	// recentTime is how long a small content is sent from memory before its file is looked
	// at again.
	recentTime = 30 * time.Second
	// maxRecent is the maximum memory of small contents, and recentOverhead what each takes
	// beside its own size, in bytes.
	maxRecent      = 128 << 20
	recentOverhead = 256
)

// recentContents are small contents that were read and verified a short time ago. Opening and
// reading a small file takes longer than sending it.
type recentContents struct {
	mu    sync.RWMutex
	bySum map[string]recentContent
	size  int // bytes
}

type recentContent struct {
	content []byte
	read    time.Time
}

// get returns a content, or nil.
func (c *recentContents) get(sum string) []byte {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if recent, ok := c.bySum[sum]; ok && time.Since(recent.read) < recentTime {
		return recent.content
	}
	return nil
}

// add adds a content, in place of others if there are too many.
func (c *recentContents) add(sum string, content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.remove(sum)
	for other := range c.bySum { // in random order
		if c.size+len(content)+recentOverhead <= maxRecent {
			break
		}
		c.remove(other)
	}
	c.bySum[sum] = recentContent{content, time.Now()}
	c.size += len(content) + recentOverhead
}

// expire frees the memory of contents that are no longer recent.
func (c *recentContents) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for sum, recent := range c.bySum {
		if time.Since(recent.read) >= recentTime {
			c.remove(sum)
		}
	}
}

// remove removes a content if it is there. The caller holds c.mu.
func (c *recentContents) remove(sum string) {
	if recent, ok := c.bySum[sum]; ok {
		c.size -= len(recent.content) + recentOverhead
		delete(c.bySum, sum)
	}
}
