/**
 * Common short English words, which most byte-pair vocabularies hold as one token each with the blank before
 * them. Prompts and mock answers are made of them, so that a number of words is close to a number of tokens.
 */
export const words: readonly string[] = `
able about above across act action add after again against age ago agree air all allow almost alone along already
also always among amount and animal another answer any appear apply area arm army around arrive art ask attack aunt
away baby back bad bag ball band bank bar base basic bath bear beat beauty bed before begin behind believe bell below
best better between beyond big bill bird birth bit black block blood blow blue board boat body bone book born both
bottom bowl box boy branch bread break bridge bright bring broad brother brown build burn bus business busy but button
buy cake call calm camp can cap car card care carry case cat catch cause cell center chain chair chance change charge
cheap check child choice church circle city claim class clean clear climb clock close cloth cloud club coach coast
coat code coffee cold color come common company cook cool copy corn corner cost cotton could count country course court
cover cow create cross crowd cry culture cup current cut dance danger dark data date daughter day dead deal death
decide deep degree deliver demand desk detail die dinner direct dirt doctor dog dollar door double doubt down draw
dream dress drink drive drop dry due during dust duty each ear early earth east easy eat edge effect egg eight either
else empty end enemy energy engine enjoy enough enter equal even evening event ever every example eye face fact fail
fair fall family famous far farm fast father fear feed feel few field fight figure fill film final find fine finger
finish fire firm first fish five flat floor flow flower fly follow food foot force foreign forest forget form forward
four free fresh friend front fruit full fun future game garden gas gate general get gift girl give glass goal god gold
good grand grass gray great green ground group grow guess guide gun hair half hall hand hang happen happy hard hat
have head health hear heart heat heavy help here high hill history hit hold hole home hope horse hospital hot hotel
hour house how huge human hundred hurry husband ice idea image inside interest iron island issue item job join joy
judge jump just keep key kid kill kind king kitchen knife know labor lack lady lake land language large last late
laugh law lay lead leaf learn least leave left leg less let letter level library lie life lift light like limit line
lip list listen little live local lock long look lose lot loud love low luck lunch machine main major make man many
map mark market master match matter may meal mean measure meat media meet member memory mention message metal method
middle might mile milk mind mine minute miss mix model modern moment money month moon more morning most mother motion
mountain mouth move much music must name narrow nation nature near neck need never new news next nice night nine noise
none noon north nose note nothing notice now number object ocean offer office often oil old once one only open orange
order other outside over own page pain paint pair paper parent park part party pass past path pay peace pen people
perfect period person phone photo pick picture piece place plan plane plant plate play please plenty point police pool
poor popular port position possible post power present press pretty price print private problem process produce proof
public pull pure push put quality queen question quick quiet quite race radio rain raise range rate reach read ready
real reason record red rest result return rice rich ride right ring rise river road rock roll roof room root rose round
row rule run safe sail salt same sand save say scale school science score sea season seat second secret see seed sell
send sense serve set seven shake shape share sharp ship shirt shoe shop short should shoulder shout show side sign
silver simple since sing sister sit six size skill skin sky sleep slow small smart smell smile smoke smooth snow soft
soil some son song soon sort sound south space speak special speed spell spend spirit sport spot spread spring square
stage stand star start state station stay steel step stick still stone stop store storm story straight strange street
strong student study style such sugar suit summer sun support sure surface sweet swim system table tail take talk tall
taste tax teach team tear tell ten term test than thank that then there thick thin thing think third this thought three
throw tie tight time tiny tired title today together tone tool top total touch tough tour toward town track trade train
travel tree trip trouble truck true trust try turn twelve twenty two type under unit until upon use usual valley value
various very view village visit voice vote wait walk wall want war warm wash watch water wave way wear weather week
weight well west wheel when where white whole wide wife wild will win wind window wine winter wish with woman wonder
wood word work world worry worth write wrong yard year yellow yes young zero
`
  .trim()
  .split(/\s+/)
