/* The tracker (event_tracker, queue, spool, delivery), its disk and its sink, and the next start. Event number i is the one
 * that the client of connection i sends. One thread appends what waits in the queue, another delivers what is in the spool. */
#define memory 0
#define process 1
#define disk 2
#define NOTHING CONNECTIONS

mtype = { undecided, taken, refused };
mtype = { marker_serving, marker_ended };

bool offered[CONNECTIONS], queued[CONNECTIONS], waits_for_tracker[CONNECTIONS];
mtype verdict[CONNECTIONS] = undecided;
bool promised[CONNECTIONS];                                 /* its client has been answered 201 */
bool is_accepted[CONNECTIONS], settled[CONNECTIONS];        /* in the account; as delivered */
bool in_spool[CONNECTIONS], spool_synced[CONNECTIONS];      /* survives the process; and the machine */
bool in_sink[CONNECTIONS], sink_synced[CONNECTIONS];
byte accepted, delivered, spooled, lost;
byte appending = NOTHING, delivering = NOTHING;
bool written, reached_the_sink, sink_hangs, sink_fails;
bool tracker_closing;                                       /* the queue is closed */
bool torn, forged;                                          /* half a record lies in the spool; the sink has what nobody sent */
mtype marker = marker_serving;                              /* last-run.json */
bool ended_by_main;
byte crashes, durability;

#define waits_in_queue(i) (queued[i])
#define is_left(i) (durability == memory -> queued[i] : is_accepted[i] && in_spool[i] && !settled[i])
#define GIVEN_UP (stopping && t >= TRACKER_OVER)

inline accept_event(i)
{
    is_accepted[i] = true; accepted++
}

/* event_tracker::record */
inline record(i)
{
    offered[i] = true;
    if
    :: tracker_closing -> verdict[i] = refused; waits_for_tracker[i] = true
    :: !tracker_closing && durability == memory ->
        accept_event(i); queued[i] = true; verdict[i] = taken; waits_for_tracker[i] = true
    :: !tracker_closing && durability != memory ->
        queued[i] = true; waits_for_tracker[i] = true;
        verdict[i] = (with(ANSWER_AFTER_THE_WRITE) -> undecided : taken)
    fi
}

/* spool::append: written whole, synced with durability disk, counted, answered. */
active proctype appending_thread()
{
    byte next = 0;
end:
    do
    :: atomic { alive && durability != memory && appending == NOTHING && ANY(waits_in_queue) && !ended[TRACKER] ->
            do
            :: next < CONNECTIONS && !queued[next] -> next++
            :: next < CONNECTIONS && queued[next] -> appending = next; queued[next] = false; break
            od;
            next = 0; written = false }
    :: atomic { alive && appending != NOTHING && !written -> in_spool[appending] = true; written = true }
    :: atomic { alive && appending != NOTHING && written ->
            spool_synced[appending] = (durability == disk && with(FDATASYNC));
            accept_event(appending); verdict[appending] = taken; appending = NOTHING }
    :: atomic { alive && appending != NOTHING && !written && faults > 0 ->        /* the disk fails; what was written is cut off */
            faults--; verdict[appending] = refused; appending = NOTHING }
    od
}

inline remove_segment(i)
{
    sink_synced[i] = with(SINK_SYNCS_FIRST);
    in_spool[i] = false; spool_synced[i] = false
}

/* delivery::work: nothing is tried after the flush deadline. */
active proctype delivering_thread()
{
    byte next = 0;
end:
    do
    :: atomic { alive && delivering == NOTHING && ANY(is_left) && !GIVEN_UP && !ended[TRACKER] && !sink_fails ->
            do
            :: next < CONNECTIONS && !is_left(next) -> next++
            :: next < CONNECTIONS && is_left(next) -> delivering = next; queued[next] = (durability != memory && queued[next]); break
            od;
            next = 0; reached_the_sink = false;
            settled[delivering] = !with(SETTLED_AFTER_THE_DELIVERY) }
    :: atomic { alive && delivering != NOTHING && !sink_hangs && !reached_the_sink && !GIVEN_UP ->
            in_sink[delivering] = true; reached_the_sink = true }
    :: atomic { alive && delivering != NOTHING && reached_the_sink ->
            settled[delivering] = true; delivered++;
            delivering = NOTHING }
    :: atomic { alive && delivering != NOTHING && !reached_the_sink && !sink_hangs && (GIVEN_UP || sink_fails) ->
            queued[delivering] = (queued[delivering] || durability == memory); delivering = NOTHING }
    :: atomic { alive && faults > 0 && delivering != NOTHING && !reached_the_sink && !sink_hangs -> faults--; sink_hangs = true }
    :: atomic { alive && faults > 0 && !sink_fails && !sink_hangs -> faults--; sink_fails = true }
    /* A segment goes when the sink has it for good: spool::before_removal. */
    :: atomic { alive && durability != memory && in_spool[0] && settled[0] && delivering == NOTHING -> remove_segment(0) }
#if CONNECTIONS > 1
    :: atomic { alive && durability != memory && in_spool[1] && settled[1] && delivering == NOTHING -> remove_segment(1) }
#endif
    od
}

#define tracker_can_end (tracker_closing && !ended[TRACKER] && delivering == NOTHING && (!ANY(is_left) || GIVEN_UP) && \
                         (durability == memory || (appending == NOTHING && !ANY(waits_in_queue))))

/* event_tracker::run: the queue closes, the appender is joined, then those that deliver. */
active proctype tracker_part()
{
end:
    do
    :: atomic { alive && asked_to_end[TRACKER] && !tracker_closing -> tracker_closing = true }
    :: atomic { alive && tracker_can_end ->
            fail(TRACKER, by_tracker) }
    od
}

/* event_tracker::account, after the flush deadline. */
inline report_events()
{
    byte event = 0, true_left = 0;
    do
    :: event < CONNECTIONS ->
        true_left = true_left + (is_accepted[event] && !settled[event]);
        event++
    :: else -> break
    od;
    event = 0;
    if
    :: with(WHAT_IS_LEFT_IS_COUNTED) ->
        spooled = (durability == memory -> 0 : accepted - delivered - lost);
        lost = (durability == memory -> accepted - delivered : lost)
    :: else
    fi;
    LAW(law_events_add_up, true_left == spooled + lost);
    true_left = 0
}

inline check_what_is_kept()
{
    byte kept = 0;
    do
    :: kept < CONNECTIONS ->
        LAW(law_kept, !promised[kept] || in_sink[kept] || (durability != memory && in_spool[kept] && !settled[kept]) ||
                          (durability == memory && code >= FORCED));
        kept++
    :: else -> break
    od;
    kept = 0
}

/* SIGKILL; with durability disk a loss of power too, which takes any of what was not synced. */
inline crash()
{
    byte gone = 0;
    torn = (torn || (appending != NOTHING && !written));
    if
    :: true
    :: durability == disk ->
        do
        :: gone < CONNECTIONS ->
            if
            :: in_spool[gone] && !spool_synced[gone] -> in_spool[gone] = false
            :: true
            fi;
            if
            :: in_sink[gone] && !sink_synced[gone] -> in_sink[gone] = false;
                settled[gone] = false       /* nor was the note synced: a delivery comes again */
            :: true
            fi;
            gone++
        :: else -> break
        od
    fi;
    gone = 0;
    if
    :: durability != memory -> check_what_is_kept()
    :: else
    fi;
    memory_is_gone()
}

/* The next start: spool::adopt, deliveries until nothing is left; it may crash as well. */
active proctype next_start()
{
    byte here = 0;
end:
    do
    :: atomic { dead ->
            /* In the data of an event there may be the bytes of a whole record, and nothing in front of them when it is torn. */
            forged = torn && !with(KEYED_RECORDS);
            LAW(law_previous_exit, (marker == marker_ended) == ended_by_main);
            LAW(law_nothing_forged, !forged);
            here = 0 }
        do
        :: atomic { here < CONNECTIONS && in_spool[here] && !settled[here] -> in_sink[here] = true }
            if
            :: atomic { true -> settled[here] = true; here++ }
            :: atomic { crashes > 0 -> crashes--; break }
            fi
        :: atomic { here < CONNECTIONS && !(in_spool[here] && !settled[here]) -> here++ }
        :: atomic { here == CONNECTIONS ->
                here = 0;
                do
                :: here < CONNECTIONS ->
                    LAW(law_kept, durability == memory || !promised[here] || in_sink[here]);
                    LAW(law_nothing_forged, !in_sink[here] || offered[here]);
                    here++
                :: else -> break
                od;
                goto over_and_out }
        od
    od;
over_and_out:
    skip
}
