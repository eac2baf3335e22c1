package loki

import (
	"sync"
	"time"
)

// takenTenantsMax bounds the tenants remembered, some 100 bytes each. Beyond it all are forgotten, which
// only puts off the end of a push in doubt until Loki takes something of its tenant again.
const takenTenantsMax = 10_000

// takenTimes remembers when Loki last took entries of each tenant.
type takenTimes struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// note says that Loki took entries of tenant at t.
func (k *takenTimes) note(tenant string, t time.Time) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.last == nil || len(k.last) >= takenTenantsMax {
		k.last = map[string]time.Time{}
	}
	k.last[tenant] = t
}

// since says whether Loki took entries of tenant after t.
func (k *takenTimes) since(tenant string, t time.Time) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.last[tenant].After(t)
}
