(* Of each statement: FUNCTION, whether Eva came by it (1 or 0), its text, split by tabs. A function
   that is never called is one such line. A module of Frama-C's, see prove.sh. *)
open Cil_types

(* Without what stands inside it, which has lines of its own. *)
let text s =
  match s.skind with
  | If (e, _, _, _) -> Format.asprintf "if (%a)" Cil_printer.pp_exp e
  | Switch (e, _, _, _) -> Format.asprintf "switch (%a)" Cil_printer.pp_exp e
  | Loop _ -> "loop"
  | _ -> Format.asprintf "%a" Cil_printer.pp_stmt { s with labels = [] }

let tell name reached text =
  let flat = String.map (fun c -> if c = '\n' || c = '\t' then ' ' else c) text in
  Format.printf "%s\t%d\t%s@." name (Bool.to_int reached) flat

let statement name s =
  match s.skind with
  | Block _ | UnspecifiedSequence _ -> ()
  | _ -> tell name (Db.Value.is_reachable_stmt s) (text s)

(* What headers bring along: a library's inline functions, stubs that another part needs. *)
let in_header f =
  match f.sallstmts with
  | s :: _ -> Filename.check_suffix ((fst (Cil_datatype.Stmt.loc s)).Filepath.pos_path :> string) ".h"
  | [] -> false

let each f =
  let name = f.svar.vname in
  if !Db.Value.is_called (Globals.Functions.get f.svar) then List.iter (statement name) f.sallstmts
  else if not (in_header f) then tell name false "never called"

let () = Db.Main.extend (fun () -> Globals.Functions.iter_on_fundecs each)
