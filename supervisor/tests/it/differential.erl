%% Runs the scripts of differential.rs under OTP's own supervisor and prints what happens, one line per operation.
-module(differential).
-mode(compile).
-behaviour(supervisor).
-export([main/1, init/1, start_child/1, run_child/2]).

main([File]) ->
    error_logger:tty(false),
    logger:set_primary_config(level, none),
    process_flag(trap_exit, true),
    ets:new(fail, [named_table, public, set]),
    register(collector, spawn_link(fun() -> collector([]) end)),
    {ok, Scripts} = file:consult(File),
    lists:foreach(fun run/1, Scripts),
    halt(0).

run({script, Number, Strategy, Intensity, Children, Ops}) ->
    ets:delete_all_objects(fail),
    io:format("script ~w~n", [Number]),
    {ok, Sup} = supervisor:start_link(?MODULE, {Strategy, Intensity, Children}),
    Ref = monitor(process, Sup),
    print(Sup, Strategy, started),
    run_ops(Sup, Strategy, Ops),
    How = case is_process_alive(Sup) of
        true -> exit(Sup, shutdown), told;
        false -> itself
    end,
    Reason = receive {'DOWN', Ref, process, Sup, R} -> reason(R) end,
    flush(),
    io:format("end ~w ~w ~s~n", [How, Reason, trace(Strategy)]).

reason(normal) -> normal;
reason(shutdown) -> shutdown;
reason({shutdown, _}) -> shutdown;
reason(killed) -> killed;
reason(_) -> other.

run_ops(_Sup, _Strategy, []) -> ok;
run_ops(Sup, Strategy, [Op | Ops]) ->
    Reply = try op(Sup, Strategy, Op) catch exit:_ -> noproc end,
    settle(Sup),
    print(Sup, Strategy, Reply),
    case is_process_alive(Sup) of
        true -> run_ops(Sup, Strategy, Ops);
        false -> ok
    end.

op(Sup, simple_one_for_one, {start, Id, _Restart, _Shutdown}) -> reply(supervisor:start_child(Sup, [Id]));
op(Sup, simple_one_for_one, {terminate, Id}) ->
    case pid_of(Id) of
        none -> skipped;
        Pid -> reply(supervisor:terminate_child(Sup, Pid))
    end;
op(Sup, _, {start, Id, Restart, Shutdown}) -> reply(supervisor:start_child(Sup, spec({Id, Restart, Shutdown})));
op(Sup, _, {terminate, Id}) -> reply(supervisor:terminate_child(Sup, Id));
op(Sup, _, {delete, Id}) -> reply(supervisor:delete_child(Sup, Id));
op(Sup, _, {restart, Id}) -> reply(supervisor:restart_child(Sup, Id));
op(_, _, {fail, Id, Times}) -> ets:insert(fail, {Id, Times}), ok;
op(_, _, {exit, Id, How}) ->
    case pid_of(Id) of
        none -> skipped;
        Pid ->
            Ref = monitor(process, Pid),
            case How of
                kill -> exit(Pid, kill);
                _ -> Pid ! {exit, How}
            end,
            receive {'DOWN', Ref, process, Pid, _} -> ok end
    end.

%% The supervisor has taken everything in when it shows no dead child and restarts none.
settle(Sup) ->
    case catch supervisor:which_children(Sup) of
        {'EXIT', _} -> flush();
        Children ->
            Busy = [C || {_, C, _, _} <- Children, C =:= restarting orelse (is_pid(C) andalso not is_process_alive(C))],
            case Busy of
                [] -> ok;
                _ -> erlang:yield(), settle(Sup)
            end
    end.

flush() -> receive {'EXIT', _, _} -> flush() after 0 -> ok end.

reply({ok, _}) -> ok;
reply(ok) -> ok;
reply({error, {already_started, _}}) -> already_started;
reply({error, refused}) -> start_failed;
reply({error, Reason}) when is_atom(Reason) -> Reason;
reply({error, _}) -> start_failed.

print(Sup, Strategy, Reply) ->
    Shown = case catch supervisor:which_children(Sup) of
        {'EXIT', _} -> "gone";
        Children when Strategy =:= simple_one_for_one ->
            Names = lists:sort([name(Pid) || {_, Pid, _, _} <- Children]),
            string:join(Names, " ");
        Children ->
            string:join([atom_to_list(Id) ++ show(Id, C) || {Id, C, _, _} <- lists:reverse(Children)], " ")
    end,
    Counts = case catch supervisor:count_children(Sup) of
        {'EXIT', _} -> "gone";
        Numbers ->
            [S, A, U, W] = [proplists:get_value(Key, Numbers) || Key <- [specs, active, supervisors, workers]],
            io_lib:format("~w/~w/~w/~w", [S, A, U, W])
    end,
    io:format("~w [~s] ~s ~s~n", [Reply, Shown, Counts, trace(Strategy)]).

show(_, undefined) -> "-";
show(Id, Pid) -> case name(Pid) =:= atom_to_list(Id) of true -> "+"; false -> "?" end.

name(Pid) -> call({name, Pid}).
pid_of(Id) -> call({pid, Id}).

trace(simple_one_for_one) -> string:join(lists:sort(call(trace)), " ");
trace(_) -> string:join(call(trace), " ").

call(Request) ->
    Ref = make_ref(),
    collector ! {self(), Ref, Request},
    receive {Ref, Answer} -> Answer end.

collector(Trace) -> collector(Trace, #{}, #{}).
collector(Trace, Pids, Names) ->
    receive
        {From, Ref, {start, Id}} ->
            From ! {Ref, ok},
            collector(["+" ++ atom_to_list(Id) | Trace], Pids#{Id => From}, Names#{From => atom_to_list(Id)});
        {From, Ref, {stop, Id}} -> From ! {Ref, ok}, collector(["-" ++ atom_to_list(Id) | Trace], Pids, Names);
        {From, Ref, trace} -> From ! {Ref, lists:reverse(Trace)}, collector([], Pids, Names);
        {From, Ref, {name, Pid}} -> From ! {Ref, maps:get(Pid, Names, "?")}, collector(Trace, Pids, Names);
        {From, Ref, {pid, Id}} ->
            Pid = case maps:get(Id, Pids, none) of
                none -> none;
                P -> case is_process_alive(P) of true -> P; false -> none end
            end,
            From ! {Ref, Pid},
            collector(Trace, Pids, Names)
    end.

init({simple_one_for_one, Intensity, [{_, Restart, Shutdown}]}) ->
    {ok, {#{strategy => simple_one_for_one, intensity => Intensity, period => 3600},
          [#{id => template, start => {?MODULE, start_child, []}, restart => Restart, shutdown => Shutdown}]}};
init({Strategy, Intensity, Children}) ->
    {ok, {#{strategy => Strategy, intensity => Intensity, period => 3600}, [spec(C) || C <- Children]}}.

spec({Id, Restart, Shutdown}) ->
    #{id => Id, start => {?MODULE, start_child, [Id]}, restart => Restart, shutdown => Shutdown}.

start_child(Id) ->
    case ets:lookup(fail, Id) of
        [{Id, N}] when N > 0 -> ets:insert(fail, {Id, N - 1}), {error, refused};
        _ -> proc_lib:start_link(?MODULE, run_child, [Id, self()])
    end.

run_child(Id, Parent) ->
    process_flag(trap_exit, true),
    call({start, Id}),
    proc_lib:init_ack(Parent, {ok, self()}),
    loop(Id, Parent).

loop(Id, Parent) ->
    receive
        {exit, normal} -> exit(normal);
        {exit, shutdown} -> exit(shutdown);
        {exit, shutdown_term} -> exit({shutdown, term});
        {exit, abnormal} -> exit(abnormal);
        {'EXIT', Parent, Reason} -> call({stop, Id}), exit(Reason)
    end.
