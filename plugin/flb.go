// Command plugin builds out_logscope.so, Fluent Bit's output plugin
// ([OUTPUT] Name logscope). This file holds the entry points: pointers in,
// one call, a code out. The C side that Fluent Bit sees is abi.c.
package main

/*
#include <stdlib.h>
#include "abi.h"
*/
import "C"

import (
	"runtime/debug"
	"unsafe"

	"github.com/fluent/fluent-bit-go/output"
)

// main is never called: the plugin is built with -buildmode=c-shared.
func main() {}

// host is the one global: Fluent Bit's calls bring no context until Init has set one.
var host registry

//export logscopePreRegister
func logscopePreRegister(hotReloading C.int) C.int {
	host.preRegister(hotReloading != 0)
	return 0
}

//export logscopeRegister
func logscopeRegister(def unsafe.Pointer) C.int {
	return C.int(output.FLBPluginRegister(def, "logscope", "Scores log records and ships them to Grafana Loki"))
}

//export logscopeUnregister
func logscopeUnregister(def unsafe.Pointer) {
	output.FLBPluginUnregister(def)
}

//export logscopeInit
func logscopeInit(plugin unsafe.Pointer, thread C.long) C.int {
	sink := newHostLog(plugin)
	inst, ok := newInstance(&host, sink, int64(thread), func(key string) string {
		return output.FLBPluginConfigKey(plugin, key)
	})
	sink.drain()
	if !ok {
		return C.LOGSCOPE_ERROR
	}
	output.FLBPluginSetContext(plugin, inst)
	return C.LOGSCOPE_OK
}

//export logscopeFlush
func logscopeFlush(ctx, data unsafe.Pointer, size C.size_t, tag *C.char, thread C.long) C.int {
	inst, ok := output.FLBPluginGetContext(ctx).(*instance)
	if !ok || inst.pipe == nil {
		return C.LOGSCOPE_RETRY
	}
	code := inst.flush(C.GoString(tag), unsafe.Slice((*byte)(data), int(size)), int64(thread))
	inst.sink.drain()
	return C.int(code)
}

//export logscopePreExit
func logscopePreExit(byReload C.int) C.int {
	return C.LOGSCOPE_OK
}

//export logscopeExit
func logscopeExit(ctx unsafe.Pointer) C.int {
	inst, ok := output.FLBPluginGetContext(ctx).(*instance)
	if !ok || inst.pipe == nil {
		return C.LOGSCOPE_OK
	}
	host.leave(inst)
	inst.close()
	inst.sink.drain()
	// The byte that stands for the context: fluent-bit-go has no call to free it. Its entry in the
	// package's map goes to the next context at this address, and holds no instance until then.
	*inst = instance{}
	C.free(ctx)
	return C.LOGSCOPE_OK
}

// hostLog prints to the log of the Fluent Bit that loaded the plugin.
type hostLog struct {
	*logQueue
	host C.struct_logscope_host
}

func newHostLog(plugin unsafe.Pointer) *hostLog {
	l := &hostLog{logQueue: &logQueue{}}
	C.logscope_host_of(plugin, &l.host)
	for level := levelError; level <= levelDebug; level++ {
		if C.logscope_log_check(&l.host, C.int(level)) != 0 {
			l.max = level
		}
	}
	return l
}

// drain prints what was logged. It must be called on a thread of Fluent Bit's own: on others the
// host does not find its log file.
func (l *hostLog) drain() {
	for _, line := range l.take() {
		text := C.CString(line.text)
		C.logscope_log_print(&l.host, C.int(line.level), text)
		C.free(unsafe.Pointer(text))
	}
}

// stack is the calling goroutine's stack, for the log.
func stack() string { return string(debug.Stack()) }
