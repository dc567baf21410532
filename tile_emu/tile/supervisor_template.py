"""The supervisor loop around the generated dispatch. ``@NAME@`` marks are filled in by engine.py.

Time is explicit here: ``t`` is the cycle at which the next instruction may issue. An instruction issues when its
operands are ready and the slot of that cycle (cycle mod 6) is not owned by a live worker; a worker launched at all
runs to completion at once, so that the cycle of its exit is known (isa semantics 1.1; races between a worker and the
supervisor or another worker are therefore seen in launch order, not interleaved: inferred).

Code that only one tile has, a program and its rows, mostly runs once, so it is decoded as it is fetched. A page of it
is decoded whole once that has been done oftener than a page has words (FETCHES): then it loops.
"""

SUPERVISOR_TEMPLATE = '''
@jit(leaf=True)
def run_tiles(tiles, statuses, memory, sram, page_tables, decoded, tables, recent, tile_mrf, tile_arf, tile_acc,
              tile_weight_store, tile_weights16, tile_weights32, tile_csrs, tile_scsr, slots, tile_progress, tile_sup,
              tile_log, tile_counters, undo, timing, limit, units, context@{, views}@):
    """Run some tiles' supervisors, and the workers they launch, each until a barrier, the end of a row or a fault.

    statuses[i] becomes the Status of tiles[i]; the context that faulted or needs a page decoded is left in
    sup[STOPPED_CONTEXT]. (One function, not two: Numba optimises a callee again inside every caller.)

    decoded: rows of the decoded pages; tables: for what is decoded as it is fetched. Those rows are kept in ``recent``,
    each in the place that its word gives: the words int64[n], -1 for none, and the rows int32[n * DECODED_FIELDS].
    """
    sram_base, sram_size, interleaved, executable, repeat_mask, code_end = sram
    fetched_words, fetched = recent
    result_latency, taken_branch, put_cost, launch_delay, local_sync, weight_slots = timing
    # Never true: a supervisor has no aux half that could trap. A constant would have Numba compile the groups twice.
    trapping = limit < 0
    for i in range(len(tiles)):
        tile = tiles[i]
        mem8 = memory[tile]
        mem16, mem32, mem64 = mem8.view(np.uint16), mem8.view(np.uint32), mem8.view(np.uint64)
        pages = page_tables[tile]
        all_mrf, all_arf, all_acc, csrs = tile_mrf[tile], tile_arf[tile], tile_acc[tile], tile_csrs[tile]
        weight_store, weights16, weights32 = tile_weight_store[tile], tile_weights16[tile], tile_weights32[tile]
        scsr, progress, sup, log = tile_scsr[tile], tile_progress[tile], tile_sup[tile], tile_log[tile]
        counters = tile_counters[tile]
        counted_words = (len(counters) - EXECUTIONS) // EXECUTION_PARTS
        @@view = view_of(views, tile)
        mrf = all_mrf[SUPERVISOR]
        arf = all_arf[0]  # a supervisor has none; the shared groups want one
        arf64 = arf.view(np.int64)
        ready = sup[READY:READY + MRF_SLOTS]
        own = progress[SUPERVISOR]
        pc = own[PC]
        t = sup[CYCLE]
        last_exit = latest_exit(progress)
        launching = sup[LAUNCH_NEXT] >= 0
        executed = touched = 0
        fault_address = -1
        status = 0
        waiting = False
        sup[STOPPED_CONTEXT] = SUPERVISOR
        while True:
            if launching:
                worker = sup[LAUNCH_NEXT]
                while worker <= sup[LAUNCH_LAST]:
                    @@enter_context(view, worker)
                    status = run_worker(
                        mem8, mem16, mem32, mem64, sram, pages, decoded, all_mrf[worker], all_arf[worker],
                        all_acc[worker], weights16, weights32, csrs[worker], slots, progress[worker], counters, undo,
                        limit, units, context@{, view}@)
                    if status != EXITED_TRUE and status != EXITED_FALSE:
                        break
                    if status == EXITED_FALSE:
                        scsr[S_SSR] &= uint32(0xFFFFFFFF ^ SSR_LC)
                    status = 0
                    counters[COUNT_WORKER + worker] += progress[worker, TURNS]
                    worker += 1
                sup[LAUNCH_NEXT] = worker
                if status != 0:
                    sup[STOPPED_CONTEXT] = worker
                    fault_address = progress[worker, FAULT_ADDRESS]
                    break
                sup[LAUNCH_NEXT] = -1
                last_exit = latest_exit(progress)
                counters[COUNT_BUSY] += last_exit - sup[LAUNCH_CYCLE]
                counters[COUNT_LAUNCHES] += 1
                if sup[LAUNCHES_LOGGED] != 0:
                    log_launch(sup, progress, log)
                launching = False
            if pc == RETURN_ADDRESS:
                status = RETURNED
                break
            o = pc - sram_base
            if o & 3 or o < 0 or o >= executable:
                status = INVALID_PC
                break
            word = o >> 2
            page = int64(pages[1, word >> PAGE_SHIFT])
            if page >= 0:
                code, p = decoded, uint64(((page << PAGE_SHIFT) + (word & (PAGE_WORDS - 1))) * DECODED_FIELDS)
            elif word + 1 >= counted_words and page > -FETCHES:
                pages[1, word >> PAGE_SHIFT] = page - 1
                first = int64(mem32[word])
                slot = (first ^ first >> 8 ^ first >> 18) & (len(fetched_words) - 1)
                code, p = fetched, uint64(slot * DECODED_FIELDS)
                if fetched_words[slot] != first or first >> 31 != 0:  # an instruction of two words is decoded anew
                    following = int64(mem32[word + 1]) if word + 1 < executable >> 2 else 0
                    decode_fetched(tables, first, following, fetched, slot)
                    fetched_words[slot] = first
            else:
                status = DECODE
                break
            if executed >= limit:
                status = ENDLESS
                break
            @@enter_context(view, SUPERVISOR)
            @@if stops_before(view, o, int64(code[p + U2])):
            @@    status = STEPPED
            @@    break
            @@note_step(view, mem32, o, t, int64(code[p + U0]), 0, mrf, arf, all_acc[0])
            touched |= 1 << ((word >> PAGE_SHIFT) & 63)
            next_pc = pc + int64(code[p + U2])
            sources = int64(code[p + U14])
            while sources != 0:
                t = max(t, ready[(sources & 31) - 1])
                sources >>= 5
            if t <= last_exit:
                t = next_slot(t, progress)
            cost = 1
            op = int64(code[p + U0])
            group = op >> GROUP_SHIFT
            if sup[EXCHANGING] != 0 and ends_row(op, group):
                status = ROW_DONE
                break
            if group == ALU:
                do_alu(op, code, p, mrf, arf)
            elif group == CONTROL:
                status, next_pc, taken, _, _, _ = do_control(op, code, p, mrf, next_pc, repeat_mask)
                if taken != 0:
                    cost = taken_branch
            elif group == LOAD:
                status, fault_address, _, _, _, _ = do_load(
                    op, code, p, mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping@{, view}@)
            elif group == STORE:
                status, fault_address = do_store(
                    op, code, p, mem8, mem16, mem32, mem64, sram, pages, mrf, arf, arf64, undo, trapping@{, view}@)
            elif op == OP_GET:
                slot = int64(slots[2, code[p + U5]])
                if slot == NO_SLOT:
                    status = INVALID_OP
                else:
                    mrf[code[p + U4]] = uint32(read_supervisor(scsr, slot, t, pc, progress) & M32)
            elif op == OP_PUT:
                slot = int64(slots[2, code[p + U5]])
                cost = put_cost
                @@note_put(view, slot, int64(mrf[code[p + U4]]))
                if slot == NO_SLOT:
                    status = INVALID_OP
                else:
                    status = supervisor_put(scsr, slot, int64(mrf[code[p + U4]]), weight_store,
                                            weights16, weights32, sup, log, t - sup[RELEASE])
            elif group == SYSTEM:
@SYSTEM@
            else:
                status = undecoded(op)
            if status != 0 and not waiting:
                break
            targets = int64(code[p + U15])
            ready[targets & 31] = t + result_latency
            ready[targets >> 5] = t + result_latency
            ready[MRF_SINK] = 0
            executed += 1
            counters[2 * counted_words + run_place(counters, sram_base, pc)] += 1
            pc = next_pc
            t += cost
            if sup[EXCHANGING] != 0:
                # The row lasts to its last exchange instruction and the return after it.
                if group == SYSTEM:
                    sup[ROW_END] = t
                    sup[EXCHANGING] = RETURNING
                elif group == CONTROL and sup[EXCHANGING] == RETURNING:
                    sup[ROW_END] = t
                    sup[EXCHANGING] = 1
            if waiting:
                break
        own[PC] = pc
        own[FAULT_ADDRESS] = fault_address
        sup[CYCLE] = t
        counters[COUNT_SUPERVISOR] += executed
        counters[TOUCHED_SUPERVISOR] |= touched
        statuses[i] = status
'''
