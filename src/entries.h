/* Every routine that R may call, one a line: ENTRY(name, arity). R sees it as c_<name>, C
 * as ffi_<name>. Included by init.c only, once for the prototypes and once for the table:
 * a wrong arity does not compile. */
/* glue.c */
ENTRY(handles_close, 0)
ENTRY(mem_live, 0)
ENTRY(mem_fail_after, 1)
/* r_info.c */
ENTRY(info, 0)
/* r_frame.c */
ENTRY(frames_df, 1)
ENTRY(frames_from_df, 2)
ENTRY(frames_positions, 1)
ENTRY(schema_check, 1)
/* r_hold.c */
ENTRY(frames_join, 1)
ENTRY(frames_new, 2)
ENTRY(frames_part, 2)
ENTRY(frames_push, 3)
ENTRY(frames_rows, 1)
ENTRY(frames_sort, 2)
ENTRY(frames_where, 1)
/* r_kafka.c */
ENTRY(guess_texts, 1)
ENTRY(guess_topic, 4)
ENTRY(kafka_create_topic, 6)
ENTRY(kafka_kept, 2)
ENTRY(kafka_local, 3)
ENTRY(kafka_new, 4)
ENTRY(kafka_offsets, 3)
ENTRY(kafka_partitions, 2)
ENTRY(kafka_produce, 4)
ENTRY(kafka_state, 1)
ENTRY(kafka_topics, 1)
/* r_stream.c */
ENTRY(reader_close, 1)
ENTRY(reader_new, 2)
ENTRY(reader_read, 2)
ENTRY(reader_tally, 1)
/* r_model.c */
ENTRY(frames_levels, 4)
ENTRY(hashed_codes, 2)
ENTRY(model_widens, 1)
ENTRY(model_widen, 4)
ENTRY(frames_slice, 3)
ENTRY(frames_count, 1)
ENTRY(frames_widen, 6)
ENTRY(model_fit, 4)
ENTRY(model_learn, 5)
ENTRY(model_result, 2)
ENTRY(model_score, 6)
ENTRY(recipe_matrix, 3)
/* r_glm.c */
ENTRY(glm_combine, 2)
ENTRY(glm_vcov, 2)
/* r_model_file.c */
ENTRY(model_file_read, 1)
ENTRY(model_file_write, 4)
/* r_live.c */
ENTRY(live_learn, 3)
ENTRY(live_new, 6)
ENTRY(live_score, 4)
ENTRY(live_set_block, 2)
ENTRY(live_state, 1)
ENTRY(live_status, 1)
/* r_metrics.c */
ENTRY(metrics, 5)
/* r_bayes.c */
ENTRY(bayes_join, 3)
ENTRY(bayes_widen, 5)
/* r_scorer.c */
ENTRY(scorer_new, 5)
ENTRY(scorer_row, 2)
ENTRY(scorer_score, 2)
/* r_random.c */
ENTRY(random_uniform, 3)
/* r_query.c */
ENTRY(memory_sink_frames, 1)
ENTRY(memory_sink_new, 1)
ENTRY(memory_sink_seen, 1)
ENTRY(query_progress, 2)
ENTRY(query_signalled, 0)
ENTRY(query_signals, 1)
ENTRY(query_start, 1)
ENTRY(query_status, 1)
ENTRY(query_stop, 1)
ENTRY(query_wait, 2)
